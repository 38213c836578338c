use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::FutureExt;

use super::count_stuck::CountStuck;
use crate::application::Stop;
use crate::application::ports::{Clock, ReceiptInbox, RepositoryError, Swept};
use crate::application::service::Repeated;
use crate::domain::message::dead_letter::DeadLetterPolicy;

/// Applies receipts that were kept and not applied, because a process died in between or the database was away, forgets those of
/// messages that are not ours, and writes when the last ones came.
pub struct SweepReceipts {
    inbox: Arc<dyn ReceiptInbox>,
    clock: Arc<dyn Clock>,
    dead_letters: DeadLetterPolicy,
    stuck: Arc<CountStuck>,
    /// How far the last round has come.
    place: Option<Swept>,
}

/// A phone's own messages have receipts, too, and no row here.
const KEPT: TimeDelta = TimeDelta::days(7);

/// Of a round. With a thousand receipts each, as many leave as 2,000 events a second bring.
const PORTIONS: usize = 20;

impl SweepReceipts {
    pub fn new(
        inbox: Arc<dyn ReceiptInbox>,
        clock: Arc<dyn Clock>,
        dead_letters: DeadLetterPolicy,
        stuck: Arc<CountStuck>,
    ) -> Self {
        Self { inbox, clock, dead_letters, stuck, place: None }
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

    /// A bounded number of portions: what is kept for a week is not read all the time.
    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        self.stuck.write_noted().await?;
        for _ in 0..PORTIONS {
            let now = self.clock.now();
            let dead_lettered_at = self.dead_letters.dead_lettered_at(now);
            self.place = self.inbox.sweep(self.place.as_ref(), now - KEPT, dead_lettered_at, now).await?;
            if self.place.is_none() || stop.clone().now_or_never().is_some() {
                break;
            }
        }
        Ok(())
    }
}
