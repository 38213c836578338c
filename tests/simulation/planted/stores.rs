//! Mistakes in what a process asks of the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::Tenant;
use correio::domain::message::deferral::{Deferral, Deferred};
use correio::domain::message::{Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InStores {
    /// A claim that was not answered is repeated under the name that it had.
    ClaimsUnderOldNames,
    /// What is sent for later is stored as what is sent at once.
    PendingForLater,
    /// Nobody makes due what was accepted without an answer.
    AcceptsAreNotSettled,
}

impl InStores {
    /// The stores of a process, with the mistake in its place.
    pub fn plant(self, stores: Stores) -> Stores {
        let unknown = Arc::<Mutex<BTreeSet<MessageId>>>::default();
        let messages = MistakenMessages {
            messages: stores.messages.clone(),
            planted: self,
            names: Mutex::default(),
            unknown: unknown.clone(),
        };
        let due = Unsettled { due: stores.due.clone(), unknown };
        Stores { messages: Arc::new(messages), due: Arc::new(due), ..stores }
    }
}

struct MistakenMessages {
    messages: Arc<dyn MessageRepository>,
    planted: InStores,
    /// Those under which claims were begun that are not answered.
    names: Mutex<BTreeMap<MessageId, NodeId>>,
    /// Those whose accept was not answered.
    unknown: Arc<Mutex<BTreeSet<MessageId>>>,
}

#[async_trait]
impl MessageRepository for MistakenMessages {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let mut stored = message.clone();
        if self.planted == InStores::PendingForLater && message.next_attempt_at.is_some() {
            stored.status = MessageStatus::Pending;
        }
        let accepted = self.messages.accept(&stored, request).await;
        if self.planted == InStores::AcceptsAreNotSettled && accepted.is_err() {
            self.unknown.lock().unwrap().insert(message.id);
        }
        accepted
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
        let is_kept = self.planted == InStores::ClaimsUnderOldNames;
        let name = if is_kept { *self.names.lock().unwrap().entry(id).or_insert(node) } else { node };
        let claimed = self.messages.claim(id, name, now).await;
        if claimed.is_ok() {
            self.names.lock().unwrap().remove(&id);
        }
        claimed
    }

    async fn defer(&self, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
        self.messages.defer(deferral).await
    }

    async fn take_along(&self, guard: &Guard, node: NodeId, now: Timestamp) -> Result<bool, RepositoryError> {
        self.messages.take_along(guard, node, now).await
    }

    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        self.messages.record(outcome).await
    }
}

/// Makes nothing due whose accept was not answered.
struct Unsettled {
    due: Arc<dyn DueMessages>,
    unknown: Arc<Mutex<BTreeSet<MessageId>>>,
}

#[async_trait]
impl DueMessages for Unsettled {
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError> {
        self.due.take(take).await
    }

    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        self.due.take_in_turns(turns).await
    }

    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        self.due.in_delivery(nodes).await
    }

    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
        self.due.give_back(forgotten, now).await
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError> {
        let is_known = |(id, _): &&(MessageId, NodeId)| !self.unknown.lock().unwrap().contains(id);
        let known: Vec<_> = messages.iter().filter(is_known).copied().collect();
        if known.is_empty() { Ok(0) } else { self.due.make_due(&known, now).await }
    }

    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
        self.due.retime(retiming).await
    }

    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError> {
        self.due.recall(recall).await
    }

    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        self.due.call_in(now, limit).await
    }
}
