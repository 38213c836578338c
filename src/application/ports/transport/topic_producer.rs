use futures::future::BoxFuture;

use crate::domain::topic::{RecordPosition, TopicRecord};

/// Publishes clients' records to topics of theirs.
///
/// An implementation
/// - begins to publish within the call of [`publish`](TopicProducer::publish), which never waits: records of one topic and key
///   that are published one after the other are in the topic in this order, unless one of them is refused;
/// - returns success only when all in-sync replicas have the record, and then it is in the topic once for each call, whatever
///   befell the brokers meanwhile;
/// - puts keys where Java's clients put them (`murmur2_random`);
/// - tells what Kafka *answered* from the lack of an answer: see [`PublishError`].
///
/// `tests/contracts/topics/topic_producer.rs` proves this for every implementation.
pub trait TopicProducer: Send + Sync {
    /// Ends within [`LONGEST_PUBLICATION`] at the latest. Dropping the future does not take the record back.
    fn publish(&self, topic: &str, record: TopicRecord) -> BoxFuture<'static, Result<RecordPosition, PublishError>>;

    /// Whether a broker was reachable when we last heard of one, a moment ago.
    fn is_connected(&self) -> bool;

    /// `host:port` of where Kafka is reached first.
    fn addresses(&self) -> Vec<String>;

    /// What has been wrong with Kafka for some seconds, a sentence each for operators.
    fn troubles(&self) -> Vec<String>;
}

/// How long a record waits for brokers that do not answer, before its message goes on waiting in the database. What is on its
/// way when Kafka dies is published once if Kafka is back within this time.
pub const LONGEST_PUBLICATION: std::time::Duration = std::time::Duration::from_secs(150);

/// The record is not known to be in the topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PublishError {
    pub kind: PublishErrorKind,
    /// One sentence, for the row and for the caller.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishErrorKind {
    /// No broker has answered, or too many records wait for one: nothing is spent, and the record waits on.
    Unanswered,
    /// Kafka refused it, and may take it later.
    Refused,
    /// Kafka refused it, and always will.
    RefusedForGood(Refusal),
}

/// Why a record is never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    TooLarge,
    /// The topic's name, its partition, or what the topic demands of a record, such as a key.
    Invalid,
}

impl PublishError {
    pub fn unanswered(reason: impl Into<String>) -> Self {
        Self { kind: PublishErrorKind::Unanswered, reason: reason.into() }
    }

    pub fn refused(reason: impl Into<String>) -> Self {
        Self { kind: PublishErrorKind::Refused, reason: reason.into() }
    }

    pub fn refused_for_good(refusal: Refusal, reason: impl Into<String>) -> Self {
        Self { kind: PublishErrorKind::RefusedForGood(refusal), reason: reason.into() }
    }
}
