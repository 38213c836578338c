use std::sync::Arc;
use std::time::Duration;

use futures::lock::Mutex;

use super::seen_brokers::{BrokerHealth, SeenBrokers};
use crate::application::events::reporting::event_tally::{EventTally, EventTallySnapshot};
use crate::application::node::tally::{Tally, TallySnapshot};
use crate::application::ports::{Clock, MessageSearch, OwedDeadLetters, RepositoryError};
use crate::domain::message::MessageStatus;

/// How long a look is good for: any client may ask, as often as it likes.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// Debts are counted up to here.
const MOST_OWED: u32 = 10_000;

/// Reports what this process has done, and what the installation keeps.
pub struct ReportMetrics {
    pub search: Arc<dyn MessageSearch>,
    pub owed: Arc<dyn OwedDeadLetters>,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    pub events: EventTally,
    pub brokers: SeenBrokers,
    /// When the process started, by the monotonic clock.
    pub started_at: Duration,
    /// When was looked last, and what was found. Held while a look is under way.
    pub last: Mutex<Option<(Duration, Kept)>>,
}

pub struct Metrics {
    pub uptime: Duration,
    pub tally: TallySnapshot,
    pub events: EventTallySnapshot,
    pub kept: Kept,
    pub brokers: BrokerHealth,
}

/// Messages of all tenants, as the operators of the Node bridge tell them apart. All zero while the database does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub pending: u64,
    pub sent: u64,
    /// Failed, and owing a record on a topic of dead letters.
    pub failed: u64,
    /// Dead letters.
    pub dlq: u64,
    pub cancelled: u64,
}

impl Kept {
    pub fn total(&self) -> u64 {
        self.pending + self.sent + self.failed + self.dlq + self.cancelled
    }
}

impl ReportMetrics {
    pub async fn metrics(&self) -> Metrics {
        Metrics {
            uptime: self.clock.monotonic().saturating_sub(self.started_at),
            tally: self.tally.snapshot(),
            events: self.events.snapshot(),
            kept: self.recent().await,
            brokers: self.brokers.health(),
        }
    }

    async fn recent(&self) -> Kept {
        let mut last = self.last.lock().await;
        if let Some((at, kept)) = *last
            && self.clock.monotonic().saturating_sub(at) < GOOD_FOR
        {
            return kept;
        }
        let kept = self.look().await.unwrap_or_default();
        *last = Some((self.clock.monotonic(), kept));
        kept
    }

    async fn look(&self) -> Result<Kept, RepositoryError> {
        let counts = self.search.count_all().await?;
        let sum = |states: &[MessageStatus]| -> u64 { states.iter().filter_map(|status| counts.get(status)).sum() };
        let all_failed: u64 = sum(&[MessageStatus::Failed]);
        let failed = if all_failed == 0 { 0 } else { self.owed.count(MOST_OWED).await?.min(all_failed) };
        Ok(Kept {
            pending: sum(&MessageStatus::OPEN),
            sent: sum(&[MessageStatus::Sent, MessageStatus::Delivered, MessageStatus::Read]),
            failed,
            dlq: all_failed - failed,
            cancelled: sum(&[MessageStatus::Cancelled]),
        })
    }
}
