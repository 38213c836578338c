use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::operations::history_time::{HistoryTime, rest_since};
use crate::application::ports::{Clock, EventRepository, RepositoryError, Storage};
use crate::application::service::Repeated;

const INTERVAL: Duration = Duration::from_secs(60);

/// Forgets which events are no longer remembered as repeats, and deletes those that are older than messages are kept.
pub struct SweepEvents {
    pub events: Arc<dyn EventRepository>,
    pub storage: Arc<dyn Storage>,
    pub time: HistoryTime,
    pub clock: Arc<dyn Clock>,
    /// None: events are kept for ever.
    pub retention: Option<Duration>,
}

#[async_trait]
impl Repeated for SweepEvents {
    fn name(&self) -> &'static str {
        "event sweep"
    }

    fn purpose(&self) -> &'static str {
        "delete old events"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let mut began = self.clock.monotonic();
        let mut is_more = true;
        while is_more && stop.peek().is_none() {
            let now = self.time.now(self.storage.as_ref(), self.clock.as_ref()).await?.believed;
            is_more = self.events.sweep(self.retention.map(|retention| now - retention), now).await?;
            if is_more {
                began = rest_since(began, self.clock.as_ref(), stop).await;
            }
        }
        Ok(())
    }
}
