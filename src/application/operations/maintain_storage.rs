use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::future::select;

use crate::application::Stop;
use crate::application::operations::lived_time::LivedTime;
use crate::application::ports::{Clock, RepositoryError, Storage};
use crate::application::service::Repeated;
use crate::domain::Timestamp;

/// Does now and then what the database needs: see [`Storage::maintain`]. Deletes keys that have expired and what is older than
/// the retention, and watches over the weeks.
pub struct MaintainStorage {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    lived: LivedTime,
    /// None: messages are kept for ever.
    retention: Option<Duration>,
    believed: BelievedTime,
    /// Whether the last round has found something that an operator should look at.
    is_worried: bool,
}

impl MaintainStorage {
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, retention: Option<Duration>) -> Self {
        Self {
            storage,
            clock,
            lived: LivedTime::default(),
            retention,
            believed: BelievedTime::default(),
            is_worried: false,
        }
    }

    async fn delete_keys(&self, now: Timestamp, stop: &Stop) -> Result<(), RepositoryError> {
        let mut began = self.clock.monotonic();
        while stop.peek().is_none() && self.storage.delete_expired_keys(now).await? {
            began = self.rest_since(began, stop).await;
        }
        Ok(())
    }

    async fn delete_history(&self, now: Timestamp, stop: &Stop) -> Result<(), RepositoryError> {
        let Some(retention) = self.retention else { return Ok(()) };
        let mut began = self.clock.monotonic();
        while stop.peek().is_none() && self.storage.delete_history(retention, now).await? {
            began = self.rest_since(began, stop).await;
        }
        Ok(())
    }

    /// Between two parts of what is deleted it rests for as long as it worked, and so leaves at least half of the time of the
    /// only writer to others. Returns when the next part begins.
    async fn rest_since(&self, began: Duration, stop: &Stop) -> Duration {
        let took = self.clock.monotonic().saturating_sub(began);
        select(stop.clone(), self.clock.sleep(took.min(LONGEST_REST))).await;
        self.clock.monotonic()
    }

    /// Warns once, and says once that all is well again.
    async fn watch_weeks(&mut self, now: Timestamp) -> Result<(), RepositoryError> {
        let Some(weeks) = self.storage.weeks(now).await? else { return Ok(()) };
        let (ahead, strays) = (weeks.ahead, weeks.strays);
        match (self.is_worried, weeks.is_worrying()) {
            (false, true) => tracing::warn!(
                weeks_ahead = ahead,
                default_partition = strays,
                "partitions need attention: fewer than two future weeks exist, or rows lie in the default partition"
            ),
            (true, false) => tracing::info!(weeks_ahead = ahead, "partitions are in order again"),
            _ => {}
        }
        self.is_worried = weeks.is_worrying();
        Ok(())
    }
}

/// Longest pause between two parts of what is deleted.
const LONGEST_REST: Duration = Duration::from_secs(1);

#[async_trait]
impl Repeated for MaintainStorage {
    fn name(&self) -> &'static str {
        "maintenance"
    }

    fn purpose(&self) -> &'static str {
        "maintain the database"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let now = self.lived.now(self.storage.as_ref(), self.clock.as_ref()).await?;
        let believed = self.believed.at(self.clock.now(), self.clock.monotonic()).min(now);
        // None of these keeps the others from being done.
        let maintained = self.storage.maintain(now).await;
        let keys_deleted = self.delete_keys(believed, stop).await;
        let history_deleted = self.delete_history(believed, stop).await;
        let watched = self.watch_weeks(now).await;
        maintained.and(keys_deleted).and(history_deleted).and(watched)
    }
}

/// The time by which things are old. A wall clock that is set ahead would make everything look old at once: what it says is
/// believed when it has said so for [`Self::DOUBTED`], in which its operator sees the warning. The start is believed.
#[derive(Default)]
struct BelievedTime {
    /// What was believed last, and when by the monotonic clock.
    last: Option<(Timestamp, Duration)>,
    ahead_since: Option<Duration>,
}

impl BelievedTime {
    const DOUBTED: Duration = Duration::from_secs(24 * 60 * 60);

    /// What clocks drift apart by between two rounds, and are set by, day by day.
    const TOLERATED: TimeDelta = TimeDelta::seconds(10);

    fn at(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let expected = self.last.map(|(time, at)| time + monotonic.saturating_sub(at));
        let believed = match expected.filter(|expected| wall > *expected + Self::TOLERATED) {
            Some(expected) if monotonic.saturating_sub(*self.ahead_since.get_or_insert(monotonic)) < Self::DOUBTED => {
                expected
            }
            _ => {
                self.ahead_since = None;
                wall
            }
        };
        self.last = Some((believed, monotonic));
        believed
    }
}
