use std::sync::Arc;
use std::time::Duration;

use super::ports::{Clock, MessageSearch, RepositoryError, Storage};
use super::tally::{Tally, TallySnapshot};

/// Says how the process is.
pub struct ReportHealth {
    pub storage: Arc<dyn Storage>,
    pub search: Arc<dyn MessageSearch>,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    /// When the process started, by the monotonic clock.
    pub started_at: Duration,
}

pub struct Health {
    pub healthy: bool,
    pub uptime: Duration,
    /// Messages of all tenants that still have to be delivered; 0 when the database does not answer.
    pub open_messages: u64,
    pub tally: TallySnapshot,
}

impl ReportHealth {
    /// Whether requests can be served.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ready(&self) -> Result<(), RepositoryError> {
        self.storage.ping().await
    }

    pub async fn health(&self) -> Health {
        let open = match self.ready().await {
            Ok(()) => self.search.count_open().await,
            Err(error) => Err(error),
        };
        Health {
            healthy: open.is_ok(),
            uptime: self.clock.monotonic().saturating_sub(self.started_at),
            open_messages: open.unwrap_or(0),
            tally: self.tally.snapshot(),
        }
    }
}
