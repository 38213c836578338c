use std::time::Duration;

use async_trait::async_trait;
use futures::channel::oneshot;

use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::MessageId;

/// The consumer's end of a broker: this process's share of the partitions, as a member of its group.
///
/// An implementation
/// - begins a partition at the offset that the group has committed, and at its beginning where none is;
/// - commits only what was reported to [`finished`](MessageSource::finished);
/// - announces [`Arrival::Assigned`] before the first record of a partition, [`Arrival::GivenUp`] before it lets go of
///   one, and then waits, within reason, until its receiver reports that it has drained;
/// - reconnects for ever: a broker that is away only means that nothing arrives.
#[async_trait]
pub trait MessageSource: Send + Sync {
    /// Waits for the next event. Loses nothing when it is dropped while it waits.
    async fn next(&self) -> Arrival;

    /// Stops the records of this partition; a few that are on their way still arrive.
    fn pause(&self, partition: Partition);

    fn resume(&self, partition: Partition);

    /// Every record of this partition up to and including `offset` is done with. A partition that was given up
    /// meanwhile is passed over.
    fn finished(&self, partition: Partition, offset: i64);

    /// Whether this process is a member of its group.
    fn has_joined(&self) -> bool;

    /// Why this process is not a member although the broker is there. None also for one that has not tried for long.
    fn kept_out(&self) -> Option<KeptOut>;

    /// Gives up all partitions, each with an [`Arrival::GivenUp`], and leaves the group. [`Arrival::Closed`] follows.
    fn close(&self);
}

/// A process that its group does not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOut {
    /// How long so far.
    pub lasts: Duration,
    /// A sentence for operators.
    pub reason: String,
}

/// A partition of the topic that messages travel through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub i32);

#[derive(Debug)]
pub enum Arrival {
    Assigned(Vec<Partition>),
    Record(Record),
    /// These go to another consumer: what is not claimed is left alone. `drained` is signalled when everything that was
    /// claimed from them is finished.
    GivenUp {
        partitions: Vec<Partition>,
        drained: oneshot::Sender<()>,
    },
    Closed,
}

/// One record, as it was found.
#[derive(Clone, Debug)]
pub struct Record {
    pub partition: Partition,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// The request in it, or a sentence that says why it is not one of ours.
    pub content: Result<DeliveryRequest, String>,
}

impl Record {
    /// Bytes of memory, roughly.
    pub fn size(&self) -> usize {
        const OVERHEAD: usize = 256;
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + OVERHEAD
    }

    /// The same while it is delivered: what it omits is read from the row.
    pub fn size_in_delivery(&self) -> usize {
        /// As large as the body of a request may be, unless that is configured.
        const OMITTED: usize = 1 << 20;
        let omits = self.content.as_ref().is_ok_and(|request| request.omits_content);
        self.size() + if omits { OMITTED } else { 0 }
    }
}

/// A request to deliver one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRequest {
    pub message_id: MessageId,
    pub instance: InstanceId,
    pub channel: ChannelName,
    /// Its content was too large for the record: the row has it.
    pub omits_content: bool,
}
