use std::time::Duration;

use crate::application::ports::{AdministrationError, ReadRecord, TopicPartition};
use crate::domain::access::principal::Tenant;

/// A tenant's name for an instance of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceName {
    pub tenant: Tenant,
    pub group: String,
    pub name: String,
}

/// How keys and values are to be written for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Binary,
    Json,
}

#[derive(Clone, Debug)]
pub struct CreateConsumer {
    /// None: one is made up.
    pub name: Option<String>,
    pub format: Format,
    pub from_beginning: bool,
    pub commits_itself: bool,
    /// Of a fetch that names none, and at most.
    pub timeout: Duration,
    /// None: a fetch takes its whole time.
    pub least_bytes: Option<usize>,
}

/// What a fetch is asked for.
#[derive(Clone, Copy, Debug)]
pub struct FetchBounds {
    /// None, or more than the instance's own: that.
    pub timeout: Option<Duration>,
    pub most_bytes: usize,
}

/// What a fetch has found.
#[derive(Debug)]
pub struct Fetched {
    pub format: Format,
    pub records: Vec<ReadRecord>,
}

#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    #[error("Consumer instance not found.")]
    Unknown,
    #[error("Consumer with specified consumer ID already exists in the specified consumer group.")]
    Taken,
    #[error("There are too many consumer instances; delete some.")]
    TooMany,
    #[error(
        "The group {0} is Correio's own (KAFKA_GROUP_ID): what reads in its name takes messages from their delivery."
    )]
    OwnGroup(String),
    #[error("Subscription to topics, partitions and pattern are mutually exclusive")]
    Exclusive,
    #[error("No current assignment for partition {}-{}", .0.topic, .0.partition)]
    NotAssigned(TopicPartition),
    #[error("The requested embedded data format does not match the deserializer for this consumer instance")]
    OtherFormat,
    #[error(transparent)]
    Administration(#[from] AdministrationError),
}
