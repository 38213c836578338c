use std::sync::Arc;

use tracing::debug;

use crate::application::ports::{Clock, ReceiptInbox, RepositoryError};
use crate::domain::message::dead_letter::DeadLetterPolicy;
use crate::domain::receipt::{ChannelMessage, Receipt};

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
        let kept = receipts.iter().map(|receipt| self.inbox.store(receipt, now));
        futures::future::try_join_all(kept).await.map(|_| ())
    }

    /// Applies what is kept for this name. To be called after a receipt of it, or the outcome that gave the message the name,
    /// was written. What does not succeed is made good by [`SweepReceipts`](super::SweepReceipts).
    pub async fn apply(&self, of: &ChannelMessage) {
        let now = self.clock.now();
        if let Err(error) = self.inbox.apply(of, self.dead_letters.dead_lettered_at(now), now).await {
            debug!(instance.id = %of.instance, %error, "receipts could not be applied; swept later");
        }
    }
}
