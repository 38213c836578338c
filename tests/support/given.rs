//! Things to begin a story with.

use std::time::Duration;

use correio::application::ports::{Duties, Forgotten, Outcome, Take};
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::message::deferral::Deferral;
use correio::domain::message::delivery::{Acceptance, DeliveryError, FailureKind};
use correio::domain::message::retry::{NextStep, RetryPolicy};
use correio::domain::message::{Content, Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use uuid::Uuid;

use crate::support::databases::Adapters;
pub use crate::support::samples::{at, id, instance, message_of, tenant};

pub fn node() -> NodeId {
    NodeId(Uuid::new_v4())
}

pub fn message(status: MessageStatus, owner: NodeId) -> Message {
    message_of(&instance("acme", "hook"), status, owner)
}

/// Sizes in mebibytes, and how many of them in this order are read or changed in one go: at most 16 mebibytes and what
/// goes beyond, so the first in any case.
pub const LARGE: [usize; 6] = [20, 6, 6, 6, 6, 1];
pub const AT_ONCE: [usize; 3] = [1, 3, 2];

/// A message with so many mebibytes of content.
pub fn large(status: MessageStatus, owner: NodeId, mebibytes: usize) -> Message {
    let bytes = mebibytes << 20;
    // Each column counts.
    let json = || Some(format!("\"{}\"", "x".repeat(bytes - 2)));
    let content = match mebibytes % 4 {
        0 => Content { text: Some("x".repeat(bytes)), ..Content::default() },
        1 => Content { template: json(), ..Content::default() },
        _ => Content { payload: json(), ..Content::default() },
    };
    Message { content, ..message(status, owner) }
}

pub fn request(key: &str, fingerprint: u8) -> IdempotentRequest {
    IdempotentRequest::new(IdempotencyKey::parse(key.as_bytes()).unwrap(), [fingerprint; 32])
}

/// How the try of `message` ended, ten seconds after noon.
pub fn outcome(message: &Message, next: NextStep) -> Outcome {
    let failed = matches!(next, NextStep::Failed { .. });
    Outcome {
        guard: message.guard(),
        next,
        started_at: at(9),
        finished_at: at(10),
        dead_lettered_at: failed.then(|| at(10)),
        has_receipts: true,
    }
}

pub fn sent() -> NextStep {
    NextStep::Sent(Acceptance { channel_message_id: Some("wamid.1".to_owned()), http_status: Some(201) })
}

pub fn retry(seconds: i64) -> NextStep {
    NextStep::Retry { at: at(seconds), error: DeliveryError::transient("away").with_http_status(503) }
}

/// The try's answer was lost: the channel may know the message by this name.
pub fn unanswered(seconds: i64, name: &str) -> NextStep {
    NextStep::Retry { at: at(seconds), error: DeliveryError::unknown("no answer in time").known_as(name) }
}

pub fn failed() -> NextStep {
    let error = DeliveryError::refused("no such number").with_http_status(422);
    NextStep::Failed { failure: FailureKind::Recipient, error }
}

/// Because this process cannot deliver it.
pub fn put_off(seconds: i64) -> NextStep {
    NextStep::PutOff { at: at(seconds), error: DeliveryError::not_now("not here", Duration::MAX) }
}

/// Because its instance has no place for it.
pub fn without_place(seconds: i64) -> NextStep {
    NextStep::PutOff { at: at(seconds), error: DeliveryError::no_place("too many at once", Duration::MAX) }
}

/// To be put off at noon, for so long, because its instance has no place for it.
pub fn deferral(id: MessageId, pause: u64) -> Deferral {
    let pause = Some(Duration::from_secs(pause));
    let (reason, is_paced) = ("too many at once".to_owned(), false);
    Deferral { id, pause, is_paced, not_before: None, reason, is_undeliverable: false, now: at(5) }
}

/// A try that may have been made.
pub fn spent(guard: Guard) -> Forgotten {
    Forgotten { guard, is_spent: true }
}

pub fn retry_policy() -> RetryPolicy {
    RetryPolicy { backoff: [1, 4, 16].map(Duration::from_secs).to_vec(), undeliverable_after: Duration::from_secs(600) }
}

/// What a relay asks for that finds every known node alive, a consumer among them.
pub fn take(taker: NodeId, now: i64) -> Take {
    Take {
        node: taker,
        gone: vec![],
        succeeded: vec![],
        departed: vec![],
        unconsumed: false,
        lost_before: None,
        held: vec![],
        with_content: true,
        limit: 100,
        full: vec![],
        limit_of_full: 0,
        now: at(now),
    }
}

impl Adapters {
    pub async fn stored(&self, message: Message) -> Message {
        self.messages.accept(&message, None).await.unwrap();
        message
    }

    /// A node that is registered.
    pub async fn live_node(&self) -> NodeId {
        let node = node();
        self.nodes.register(node, node, Duties { publishes: true, consumes: true }, at(0)).await.unwrap();
        node
    }

    /// The first and the second name of a process that is registered under both.
    pub async fn renamed(&self) -> (NodeId, NodeId) {
        let (first, next) = (self.live_node().await, node());
        self.nodes.register(next, first, Duties { publishes: true, consumes: true }, at(0)).await.unwrap();
        (first, next)
    }

    /// A stored message in one of the open states.
    pub async fn open(&self, status: MessageStatus, owner: NodeId) -> Message {
        match status {
            MessageStatus::Processing => {
                let message = self.stored(message(MessageStatus::Queued, owner)).await;
                self.messages.claim(message.id, owner, at(1)).await.unwrap().unwrap().message
            }
            waiting => self.stored(message(waiting, owner)).await,
        }
    }

    /// A queued message that is due so many seconds after noon.
    pub async fn timed(&self, owner: NodeId, due: i64) -> Message {
        let claimed = self.open(MessageStatus::Processing, owner).await;
        assert!(self.messages.record(&outcome(&claimed, retry(due))).await.unwrap());
        self.now(&claimed).await
    }

    /// A queued message, failed by its first try ten seconds after noon.
    pub async fn failed(&self, message: Message, dead_lettered_at: Option<Timestamp>) -> Message {
        let message = self.stored(message).await;
        let claimed = self.messages.claim(message.id, message.node.unwrap(), at(1)).await.unwrap().unwrap().message;
        let outcome = Outcome { dead_lettered_at, ..outcome(&claimed, failed()) };
        assert!(self.messages.record(&outcome).await.unwrap());
        self.now(&claimed).await
    }

    pub async fn now(&self, message: &Message) -> Message {
        self.messages.find(message.id).await.unwrap().unwrap()
    }

    pub async fn taken(&self, take: &Take) -> Vec<MessageId> {
        self.due.take(take).await.unwrap().iter().map(|message| message.id).collect()
    }
}
