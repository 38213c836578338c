use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use correio::application::ports::{Accepted, Claimed, KeptRequest, MessageRepository, Outcome, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::Tenant;
use correio::domain::message::deferral::{Deferral, Deferred};
use correio::domain::message::{Guard, Message, MessageId};
use correio::domain::node::NodeId;
use tokio::sync::Semaphore;

/// Claims are made, and messages taken along, and both are told only through the gate: once a permit.
pub struct GatedClaims {
    messages: Arc<dyn MessageRepository>,
    pub gate: Semaphore,
    /// How many were made.
    pub made: AtomicUsize,
}

impl GatedClaims {
    pub fn new(messages: Arc<dyn MessageRepository>) -> Self {
        Self { messages, gate: Semaphore::new(0), made: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl MessageRepository for GatedClaims {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        self.messages.accept(message, request).await
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError> {
        self.messages.kept_request(tenant, key, now).await
    }

    async fn free_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<(), RepositoryError> {
        self.messages.free_key(tenant, key).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        self.messages.find(id).await
    }

    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Claimed>, RepositoryError> {
        let claimed = self.messages.claim(id, node, now).await;
        self.made.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        claimed
    }

    async fn defer(&self, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
        self.messages.defer(deferral).await
    }

    async fn take_along(&self, guard: &Guard, node: NodeId, now: Timestamp) -> Result<bool, RepositoryError> {
        let taken = self.messages.take_along(guard, node, now).await;
        self.made.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        taken
    }

    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        self.messages.record(outcome).await
    }
}
