use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::administration_error::AdministrationError;
use super::group_administration::CommittedOffset;
use super::topic_administration::{Place, TopicPartition};

/// Makes members of consumer groups for callers of ours.
pub trait RecordConsumers: Send + Sync {
    /// A consumer of this group, which joins it once it has subscribed and is asked for records.
    fn open(&self, group: &str, settings: &ConsumerSettings) -> Result<Arc<dyn RecordConsumer>, AdministrationError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// From the oldest record on where nothing was committed; else only what comes later.
    pub from_beginning: bool,
    /// Commits what it has given out, every few seconds and when it closes.
    pub commits_itself: bool,
    /// How long a caller may leave it alone before the group goes on without it.
    pub longest_silence: Duration,
}

/// A consumer that belongs to one caller. What it does is asked for one by one.
#[async_trait]
pub trait RecordConsumer: Send + Sync {
    async fn subscribe(&self, subscription: &Subscription) -> Result<(), AdministrationError>;

    async fn unsubscribe(&self) -> Result<(), AdministrationError>;

    /// Reads these partitions, whatever its group does.
    async fn assign(&self, partitions: &[TopicPartition]) -> Result<(), AdministrationError>;

    /// What it reads now.
    async fn assignment(&self) -> Result<Vec<TopicPartition>, AdministrationError>;

    /// Records until one of the bounds is reached; a first record that is larger than the bound comes alone.
    async fn read(&self, bounds: ReadBounds) -> Result<Vec<ReadRecord>, AdministrationError>;

    /// Commits these, or all that was given out.
    async fn commit(&self, offsets: Option<&[CommittedOffset]>) -> Result<(), AdministrationError>;

    /// What the group has committed of these; what it has not is left out.
    async fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>, AdministrationError>;

    /// Goes on there. All of these are among what it reads.
    async fn seek(&self, places: &[(TopicPartition, SeekTo)]) -> Result<(), AdministrationError>;

    /// Leaves the group.
    async fn close(&self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    Offset(i64),
    Place(Place),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    Topics(Vec<String>),
    /// All topics whose whole name this regular expression matches.
    Pattern(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBounds {
    pub timeout: Duration,
    /// Enough; none: the time-out alone ends it.
    pub least_bytes: Option<usize>,
    pub most_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    pub place: TopicPartition,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl ReadRecord {
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }
}
