//! What a receipt makes of a message.

use super::{ChannelMessage, Receipt, ReceiptStatus};
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
    /// Of a receipt whose name was found to stand for this message. `dead_lettered_at` counts only with a failure that is one
    /// by this receipt.
    ///
    /// # Errors
    /// When the receipt would take the message backwards, or has another name than the message: it stays as it was.
    pub fn receive(
        &mut self,
        receipt: &Receipt,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), ForbiddenMove> {
        let to = receipt.status.message_status();
        let from = self.status;
        let is_open_to_it = match from {
            MessageStatus::Failed => self.failure == Some(FailureKind::Unknown),
            MessageStatus::Queued => self.is_unanswered && self.is_of_this_run(receipt),
            _ => true,
        };
        // What was written on a phone was never ours to try: nothing of it is replayed, or a dead letter.
        let fails_untried = receipt.status == ReceiptStatus::Failed && self.try_number == 0;
        if !self.may_be_named(&receipt.of) || !is_open_to_it || fails_untried {
            return Err(ForbiddenMove { from, to });
        }
        self.change(receipt.status.change(), to)?;
        self.channel_message_id = Some(receipt.of.id.clone());
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
        let has_letter = self.dead_lettered_at.filter(|_| from == MessageStatus::Failed);
        self.dead_lettered_at = has_letter.or(dead_lettered_at).filter(|_| has_failed);
        self.next_attempt_at = None;
        self.is_unanswered = false;
        self.updated_at = now;
        Ok(())
    }

    /// Without a name of its own a message that was replayed is not known to be the one that was taken: it may have been an earlier
    /// run, which was refused later. What was delivered was delivered, whichever it was.
    fn is_of_this_run(&self, receipt: &Receipt) -> bool {
        receipt.status > ReceiptStatus::Sent
            || self.replays == 0
            || self.channel_message_id.as_ref() == Some(&receipt.of.id)
    }

    /// Whether it has this name, or none that its channel gave it: its answer was lost, and what stands there is our own id.
    fn may_be_named(&self, name: &ChannelMessage) -> bool {
        let is_its = |id: &String| *id == name.id || *id == self.id.to_string();
        self.instance_id == name.instance && self.channel_message_id.as_ref().is_none_or(is_its)
    }
}
