//! The names under which a process speaks to the database, recorded in the chronicle as it does.

use std::sync::Arc;

use async_trait::async_trait;
use correio::application::node::node_identity::NodeIdentity;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::Tenant;
use correio::domain::message::deferral::{Deferral, Deferred};
use correio::domain::message::{Guard, Message, MessageId};
use correio::domain::node::NodeId;

use super::chronicle::Chronicle;
use super::scheduler::{ProcessId, Scheduler};

/// Whose statements they are.
#[derive(Clone)]
pub struct Speaker {
    pub process: ProcessId,
    pub identity: NodeIdentity,
    pub scheduler: Scheduler,
    pub chronicle: Chronicle,
}

impl Speaker {
    /// The stores, with what this process says in its names recorded.
    pub fn heard(&self, stores: Stores) -> Stores {
        let speaker = self.clone();
        Stores {
            nodes: Arc::new(NamedNodes { nodes: stores.nodes.clone(), speaker: speaker.clone() }),
            messages: Arc::new(NamedMessages { messages: stores.messages.clone(), speaker: speaker.clone() }),
            due: Arc::new(NamedDue { due: stores.due.clone(), speaker }),
            ..stores
        }
    }
}

/// The nodes, with the names of the process recorded before they are registered.
struct NamedNodes {
    nodes: Arc<dyn NodeRepository>,
    speaker: Speaker,
}

#[async_trait]
impl NodeRepository for NamedNodes {
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.speaker.chronicle.named(node, self.speaker.process);
        self.nodes.register(node, process, duties, now).await
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        self.nodes.beat(node).await
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        self.nodes.all().await
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        self.nodes.leave(node, queued_are_kept, now).await
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError> {
        self.nodes.forget(nodes).await
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        self.nodes.forget_dead(alive).await
    }
}

/// The messages, with claims under a former name recorded, and accepts that were not answered.
struct NamedMessages {
    messages: Arc<dyn MessageRepository>,
    speaker: Speaker,
}

#[async_trait]
impl MessageRepository for NamedMessages {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let accepted = self.messages.accept(message, request).await;
        if accepted.is_err() {
            self.speaker.chronicle.accept_unanswered(message.id, self.speaker.scheduler.now());
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
        if self.speaker.identity.last() != Some(node) {
            self.speaker.chronicle.misnamed(id, self.speaker.scheduler.now());
        }
        self.messages.claim(id, node, now).await
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

/// What is due, with those recorded that the process asks to be made due, each with the owner that it takes it to have.
struct NamedDue {
    due: Arc<dyn DueMessages>,
    speaker: Speaker,
}

#[async_trait]
impl DueMessages for NamedDue {
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
        self.speaker.chronicle.asked_to_make_due(messages);
        self.due.make_due(messages, now).await
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
