use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;

use crate::application::Stop;
use crate::application::ports::{Clock, EventRepository, RepositoryError};
use crate::application::service::Repeated;

const INTERVAL: Duration = Duration::from_secs(60);

/// Forgets which events are no longer remembered as repeats, and deletes those that are older than messages are kept.
pub struct SweepEvents {
    pub events: Arc<dyn EventRepository>,
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
        while stop.clone().now_or_never().is_none() {
            let now = self.clock.now();
            if !self.events.sweep(self.retention.map(|retention| now - retention), now).await? {
                break;
            }
        }
        Ok(())
    }
}
