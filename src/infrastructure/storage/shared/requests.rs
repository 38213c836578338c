//! What callers request of either database, many concurrently.

use super::{Batchable, OutcomeRow, week_of};
use crate::application::ports::{Received, SlotsAsked};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::inbound::InboundKey;
use crate::domain::instance::InstanceId;
use crate::domain::message::deferral::Deferral;
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};

/// A message to store, with its key if it has one.
pub struct AcceptRequest {
    pub message: Message,
    pub request: Option<IdempotentRequest>,
}

impl Batchable for AcceptRequest {
    type Key = (String, String);

    /// A key is kept for one of the requests that bring it, and a statement can write it only once.
    fn key(&self) -> Option<Self::Key> {
        let request = self.request.as_ref()?;
        Some((self.message.tenant.as_str().to_owned(), request.key.as_str().to_owned()))
    }

    fn size(&self) -> usize {
        let content = &self.message.content;
        let texts = [&content.text, &content.payload, &content.template, &content.record];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        texts + content.media.as_ref().map_or(0, |media| media.url.as_str().len()) + self.message.recipient.len()
    }
}

/// A message to claim for a node.
pub struct ClaimRequest {
    pub id: MessageId,
    pub node: NodeId,
    pub now: Timestamp,
}

impl Batchable for ClaimRequest {
    type Key = MessageId;

    /// Of two claims of one message the second gets nothing.
    fn key(&self) -> Option<MessageId> {
        Some(self.id)
    }

    fn week(&self) -> Option<i128> {
        Some(week_of(self.id))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

impl Batchable for SlotsAsked {
    type Key = InstanceId;

    /// The second gets what the first has left.
    fn key(&self) -> Option<InstanceId> {
        Some(self.instance)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

impl Batchable for Deferral {
    type Key = MessageId;

    /// Of two deferrals of one message the second finds nothing.
    fn key(&self) -> Option<MessageId> {
        Some(self.id)
    }

    fn week(&self) -> Option<i128> {
        Some(week_of(self.id))
    }

    fn size(&self) -> usize {
        self.reason.len() + size_of::<Self>()
    }
}

/// An outcome to record, as it stands in the row.
pub struct RecordRequest {
    pub guard: Guard,
    pub started_at: Timestamp,
    pub row: OutcomeRow,
}

impl Batchable for RecordRequest {
    type Key = MessageId;

    /// The first outcome of a message counts.
    fn key(&self) -> Option<MessageId> {
        Some(self.guard.id)
    }

    fn week(&self) -> Option<i128> {
        Some(week_of(self.guard.id))
    }

    fn size(&self) -> usize {
        self.row.ending.error.as_ref().map_or(0, String::len) + size_of::<Self>()
    }
}

/// A dead letter whose record is published.
pub struct PaidRequest {
    pub id: MessageId,
    pub try_number: u32,
    pub now: Timestamp,
}

impl Batchable for PaidRequest {
    type Key = MessageId;

    fn key(&self) -> Option<MessageId> {
        Some(self.id)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn week(&self) -> Option<i128> {
        Some(week_of(self.id))
    }
}

/// A receipt to keep.
pub struct StoreRequest {
    pub receipt: Receipt,
    pub now: Timestamp,
}

impl Batchable for StoreRequest {
    type Key = (ChannelMessage, ReceiptStatus);

    /// A statement can write it only once.
    fn key(&self) -> Option<Self::Key> {
        Some((self.receipt.of.clone(), self.receipt.status))
    }

    fn week(&self) -> Option<i128> {
        self.receipt.message.map(week_of)
    }

    fn size(&self) -> usize {
        self.receipt.of.id.len() + self.receipt.reason.as_ref().map_or(0, String::len) + size_of::<Self>()
    }
}

/// Whose receipts are to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptsOf {
    Name(ChannelMessage),
    /// By whatever name.
    Message(MessageId),
}

/// Receipts to apply.
pub struct ApplyRequest {
    pub of: ReceiptsOf,
    pub dead_lettered_at: Option<Timestamp>,
    pub now: Timestamp,
}

impl Batchable for ApplyRequest {
    type Key = ReceiptsOf;

    fn key(&self) -> Option<ReceiptsOf> {
        Some(self.of.clone())
    }

    fn size(&self) -> usize {
        let name = match &self.of {
            ReceiptsOf::Name(name) => name.id.len(),
            ReceiptsOf::Message(_) => 0,
        };
        name + size_of::<Self>()
    }
}

/// A message that a channel brought.
pub struct ReceivedRequest {
    pub received: Received,
}

impl Batchable for ReceivedRequest {
    type Key = InboundKey;

    /// The first of those that are the same counts.
    fn key(&self) -> Option<InboundKey> {
        Some(self.received.key.clone())
    }

    fn size(&self) -> usize {
        usize::try_from(self.received.message.content.bytes()).unwrap_or(usize::MAX) + size_of::<Self>()
    }
}
