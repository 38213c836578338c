use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::ports::{Clock, EventDeliveries, RepositoryError};
use crate::application::service::Repeated;

/// Forgets what became of events that are there no longer.
pub struct SweepDeliveries {
    pub deliveries: Arc<dyn EventDeliveries>,
    pub clock: Arc<dyn Clock>,
    /// None: events are kept for ever.
    pub retention: Option<Duration>,
}

#[async_trait]
impl Repeated for SweepDeliveries {
    fn name(&self) -> &'static str {
        "deliveries of events"
    }

    fn purpose(&self) -> &'static str {
        "forget the deliveries of old events"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let Some(retention) = self.retention else { return Ok(()) };
        let before = self.clock.now() - retention;
        while stop.peek().is_none() && self.deliveries.forget(before).await? {}
        Ok(())
    }
}
