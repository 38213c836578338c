use std::sync::Arc;

use tracing::debug;

use crate::application::ports::{Clock, ReceiptInbox, RepositoryError};
use crate::domain::message::MessageId;
use crate::domain::message::dead_letter::DeadLetterPolicy;
use crate::domain::receipt::{ChannelMessage, Receipt};

/// Of one report, which may have tens of thousands: what others report goes into the same statements.
const KEPT_AT_ONCE: usize = 128;

/// Takes what channels say of messages later, in two steps: what is [kept](Self::keep) is on disk, and the channel may be
/// answered; [applying](Self::apply) it moves the message. Copies are alike.
#[derive(Clone)]
pub struct ReceiveReceipts {
    pub inbox: Arc<dyn ReceiptInbox>,
    pub clock: Arc<dyn Clock>,
    pub dead_letters: DeadLetterPolicy,
}

impl ReceiveReceipts {
    /// # Errors
    /// When the database does not answer: the channel is to say it again.
    pub async fn keep(&self, receipts: &[Receipt]) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        for portion in receipts.chunks(KEPT_AT_ONCE) {
            let kept = portion.iter().map(|receipt| self.inbox.store(receipt, now));
            futures::future::try_join_all(kept).await?;
        }
        Ok(())
    }

    /// Applies what is kept for this name. To be called after a receipt of it was written. What does not succeed is made good by
    /// [`SweepReceipts`](super::SweepReceipts).
    pub async fn apply(&self, of: &ChannelMessage) {
        let now = self.clock.now();
        let applied = self.inbox.apply(of, self.dead_letters.dead_lettered_at(now), now).await;
        say_if_not(applied);
    }

    /// Applies what is kept for this message. To be called after an outcome of it was written.
    pub async fn apply_to(&self, message: MessageId) {
        let now = self.clock.now();
        let applied = self.inbox.apply_to(message, self.dead_letters.dead_lettered_at(now), now).await;
        say_if_not(applied);
    }
}

fn say_if_not(applied: Result<(), RepositoryError>) {
    if let Err(error) = applied {
        debug!(%error, "receipts could not be applied; swept later");
    }
}
