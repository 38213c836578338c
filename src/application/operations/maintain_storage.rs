use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::operations::history_time::{HistoryNow, HistoryTime, rest_since};
use crate::application::ports::{Clock, RepositoryError, Storage};
use crate::application::service::Repeated;
use crate::domain::Timestamp;

/// Does now and then what the database needs: see [`Storage::maintain`]. Deletes keys that have expired and what is older than
/// the retention, and watches over the weeks.
pub struct MaintainStorage {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    time: HistoryTime,
    /// None: messages are kept for ever.
    retention: Option<Duration>,
    /// Whether the last round has found something that an operator should look at.
    is_worried: bool,
}

impl MaintainStorage {
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, retention: Option<Duration>) -> Self {
        Self { storage, clock, time: HistoryTime::default(), retention, is_worried: false }
    }

    async fn delete_keys(&self, now: Timestamp, stop: &Stop) -> Result<(), RepositoryError> {
        let mut began = self.clock.monotonic();
        while stop.peek().is_none() && self.storage.delete_expired_keys(now).await? {
            began = rest_since(began, self.clock.as_ref(), stop).await;
        }
        Ok(())
    }

    async fn delete_history(&self, now: Timestamp, stop: &Stop) -> Result<(), RepositoryError> {
        let Some(retention) = self.retention else { return Ok(()) };
        let mut began = self.clock.monotonic();
        while stop.peek().is_none() && self.storage.delete_history(retention, now).await? {
            began = rest_since(began, self.clock.as_ref(), stop).await;
        }
        Ok(())
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
        let HistoryNow { lived: now, believed } = self.time.now(self.storage.as_ref(), self.clock.as_ref()).await?;
        // None of these keeps the others from being done.
        let maintained = self.storage.maintain(now).await;
        let keys_deleted = self.delete_keys(believed, stop).await;
        let history_deleted = self.delete_history(believed, stop).await;
        let watched = self.watch_weeks(now).await;
        maintained.and(keys_deleted).and(history_deleted).and(watched)
    }
}
