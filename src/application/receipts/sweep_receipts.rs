use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;

use crate::application::Stop;
use crate::application::ports::{Clock, ReceiptInbox, RepositoryError, Swept};
use crate::application::service::Repeated;
use crate::domain::message::dead_letter::DeadLetterPolicy;

/// Applies receipts that were kept and not applied, because a process died in between or the database was away, and forgets
/// those of messages that are not ours.
pub struct SweepReceipts {
    inbox: Arc<dyn ReceiptInbox>,
    clock: Arc<dyn Clock>,
    dead_letters: DeadLetterPolicy,
    /// How far the last round has come.
    place: Option<Swept>,
}

/// A phone's own messages have receipts, too, and no row here.
const KEPT: TimeDelta = TimeDelta::days(7);

impl SweepReceipts {
    pub fn new(inbox: Arc<dyn ReceiptInbox>, clock: Arc<dyn Clock>, dead_letters: DeadLetterPolicy) -> Self {
        Self { inbox, clock, dead_letters, place: None }
    }
}

#[async_trait]
impl Repeated for SweepReceipts {
    fn name(&self) -> &'static str {
        "receipts"
    }

    fn purpose(&self) -> &'static str {
        "apply receipts that were left"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// One portion a round: what is kept for a week is not read all the time.
    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        let dead_lettered_at = self.dead_letters.dead_lettered_at(now);
        self.place = self.inbox.sweep(self.place.as_ref(), now - KEPT, dead_lettered_at, now).await?;
        Ok(())
    }
}
