use std::sync::Arc;

use tracing::info;

use crate::application::ports::{ReportedSends, RepositoryError};
use crate::application::receipts::ReceiveReceipts;
use crate::domain::Timestamp;

/// Finds the messages whose answers were lost among what their provider reports as sent, where it has not taken our name for them:
/// by recipient, text and time.
#[derive(Clone)]
pub struct ResolveSends {
    pub sends: Arc<dyn ReportedSends>,
    pub receipts: ReceiveReceipts,
}

/// Of one round.
const PORTION: u32 = 500;

impl ResolveSends {
    /// What was kept before this moment: every try that was under way then has ended.
    ///
    /// # Errors
    /// When the database does not answer: the next round goes on.
    pub async fn resolve(&self, before: Timestamp) -> Result<(), RepositoryError> {
        for sent in self.sends.due(before, PORTION).await? {
            let failures = self.sends.unknown_failures(sent.of.instance, sent.tried_within()).await?;
            let failure = sent.among(&failures);
            if self.sends.settle(&sent, failure).await? {
                info!(message.id = ?failure.map(|it| it.message), name = sent.of.id, "what its provider reports as sent is a message whose answer was lost");
                // After its name was written: what was reported of it counts.
                self.receipts.apply(&sent.of).await;
            }
        }
        Ok(())
    }
}
