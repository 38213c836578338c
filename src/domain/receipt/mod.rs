//! What a channel says of a message after it took it.

mod order;
pub mod receiving;
mod reported_send;
mod stuck;

use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::{MessageId, MessageStatus};

pub use order::{FoundReceipt, in_order};
pub use reported_send::{ReportedSend, UnknownFailure};
pub use stuck::{StuckAfter, StuckOfInstance, StuckSince};

/// The name of a message at the channel of its instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelMessage {
    pub instance: InstanceId,
    /// As the channel gave it, or as we asked it to call the message; at most 255 characters.
    pub id: String,
}

/// A later word on one message. It moves a message forwards only, whatever order receipts come in and however often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub of: ChannelMessage,
    /// Our own id of the message, where the channel repeats it: so a message is found whose name was in an answer that was lost.
    pub message: Option<MessageId>,
    pub status: ReceiptStatus,
    /// As the channel says; if it does not, when the receipt came.
    pub at: Timestamp,
    /// Of a failure: a sentence for people.
    pub reason: Option<String>,
}

/// In the order in which several of one message are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReceiptStatus {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl ReceiptStatus {
    pub const ALL: [ReceiptStatus; 4] = [Self::Sent, Self::Delivered, Self::Read, Self::Failed];

    /// The state that a message has by it.
    pub fn message_status(self) -> MessageStatus {
        match self {
            ReceiptStatus::Sent => MessageStatus::Sent,
            ReceiptStatus::Delivered => MessageStatus::Delivered,
            ReceiptStatus::Read => MessageStatus::Read,
            ReceiptStatus::Failed => MessageStatus::Failed,
        }
    }

    pub fn as_str(self) -> &'static str {
        self.message_status().as_str()
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}
