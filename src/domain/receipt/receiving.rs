//! What a receipt makes of a message.

use super::{Receipt, ReceiptStatus};
use crate::domain::Timestamp;
use crate::domain::message::delivery::FailureKind;
use crate::domain::message::transition::{
    Change, ForbiddenMove, RECEIPT_DELIVERED, RECEIPT_FAILED, RECEIPT_READ, RECEIPT_SENT,
};
use crate::domain::message::{Message, MessageStatus};

/// The end of the sentence of a message that was taken and refused later.
pub const REFUSED_LATER: &str = "The channel took the message and refused it later.";

impl ReceiptStatus {
    /// The change that it makes.
    pub fn change(self) -> &'static Change {
        match self {
            ReceiptStatus::Sent => &RECEIPT_SENT,
            ReceiptStatus::Delivered => &RECEIPT_DELIVERED,
            ReceiptStatus::Read => &RECEIPT_READ,
            ReceiptStatus::Failed => &RECEIPT_FAILED,
        }
    }
}

impl Message {
    /// `dead_lettered_at` counts only with a failure.
    ///
    /// # Errors
    /// When the receipt would take the message backwards, or is another message's: it stays as it was.
    pub fn receive(
        &mut self,
        receipt: &Receipt,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), ForbiddenMove> {
        let to = receipt.status.message_status();
        let is_its_own =
            self.instance_id == receipt.of.instance && self.channel_message_id.as_ref() == Some(&receipt.of.id);
        let is_known_to_have_failed =
            self.status == MessageStatus::Failed && self.failure != Some(FailureKind::Unknown);
        if !is_its_own || is_known_to_have_failed {
            return Err(ForbiddenMove { from: self.status, to });
        }
        self.change(receipt.status.change(), to)?;
        let has_failed = receipt.status == ReceiptStatus::Failed;
        if !has_failed {
            self.sent_at.get_or_insert(receipt.at);
        }
        match receipt.status {
            ReceiptStatus::Delivered => self.delivered_at = Some(receipt.at),
            ReceiptStatus::Read => {
                self.delivered_at.get_or_insert(receipt.at);
                self.read_at = Some(receipt.at);
            }
            ReceiptStatus::Sent | ReceiptStatus::Failed => {}
        }
        self.failure = has_failed.then_some(FailureKind::Recipient);
        self.error = has_failed.then(|| receipt.reason.clone().unwrap_or_else(|| REFUSED_LATER.to_owned()));
        self.dead_lettered_at = dead_lettered_at.filter(|_| has_failed);
        self.updated_at = now;
        Ok(())
    }
}
