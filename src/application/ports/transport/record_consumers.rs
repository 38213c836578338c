use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::administration_error::AdministrationError;
use super::group_administration::CommittedOffset;
use super::topic_administration::{Place, TopicPartition};
use crate::domain::access::principal::Tenant;
use crate::domain::topic::TopicPattern;

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
    /// Whose share of the memory what it reads ahead counts to. None: a command's, which has a process of its own.
    pub tenant: Option<Tenant>,
}

/// A consumer that belongs to one caller. What it does is asked for one by one.
#[async_trait]
pub trait RecordConsumer: Send + Sync {
    /// Reads from now on what the group has it read of these topics, from where the group is. A refusal changes nothing: what it
    /// has read and not given out is given out next.
    async fn subscribe(&self, subscription: &Subscription) -> Result<(), AdministrationError>;

    async fn unsubscribe(&self) -> Result<(), AdministrationError>;

    /// Reads these partitions, whatever its group does.
    async fn assign(&self, partitions: &[TopicPartition]) -> Result<(), AdministrationError>;

    /// What it reads now.
    async fn assignment(&self) -> Result<Vec<TopicPartition>, AdministrationError>;

    /// Reads until one of the bounds is reached, or it holds as much as it may, and keeps what it has read. What was given out
    /// before counts as taken: its caller asks for more.
    async fn read_ahead(&self, bounds: ReadBounds) -> Result<(), AdministrationError>;

    /// Records that it has read, in their order: as many as are within the bound, or one that is larger. They are not given out
    /// yet: [`gave`](Self::gave) says that they were, or [`take_back`](Self::take_back) that they were not.
    fn take(&self, most_bytes: usize) -> Vec<ReadRecord>;

    /// What was taken last is in the hands of its caller.
    fn gave(&self, records: &[ReadRecord]);

    /// What was taken last comes again.
    fn take_back(&self, records: Vec<ReadRecord>);

    /// All at once, for a caller that gets whatever there is.
    async fn read(&self, bounds: ReadBounds) -> Result<Vec<ReadRecord>, AdministrationError> {
        self.read_ahead(bounds).await?;
        let records = self.take(bounds.most_bytes);
        self.gave(&records);
        Ok(records)
    }

    /// Commits these, or all that was given out of what it still reads.
    async fn commit(&self, offsets: Option<&[CommittedOffset]>) -> Result<(), AdministrationError>;

    /// What the group has committed of these; what it has not is left out.
    async fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>, AdministrationError>;

    /// Goes on there. All of these are among what it reads. What a refused one has read is given out next.
    async fn seek(&self, places: &[(TopicPartition, SeekTo)]) -> Result<(), AdministrationError>;

    /// Commits what was given out, if it commits itself, and leaves the group. A call that is under way ends early.
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
    /// All topics whose name this matches, also those that are made later; Kafka's own (`__…`) never.
    Pattern(TopicPattern),
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

/// What a record takes of the memory beside its bytes, about.
const RECORD: usize = 256;

/// The same of a header.
const HEADER: usize = 64;

impl ReadRecord {
    /// What it takes of the memory, here and in an answer.
    pub fn cost(&self) -> usize {
        let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter().map(|(name, bytes)| HEADER + name.len() + value(bytes));
        RECORD + 2 * self.place.topic.len() + self.size() + headers.sum::<usize>()
    }

    /// Of its key and value.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }
}
