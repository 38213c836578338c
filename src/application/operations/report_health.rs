use std::sync::Arc;
use std::time::Duration;

use crate::application::node::tally::{Tally, TallySnapshot};
use crate::application::ports::{Broker, Clock, MessageSearch, MessageSource, RepositoryError, Storage};
use crate::domain::Timestamp;

/// Reports the health of the process.
pub struct ReportHealth {
    pub storage: Arc<dyn Storage>,
    pub search: Arc<dyn MessageSearch>,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    /// None: messages travel without a broker.
    pub broker: Option<Arc<dyn Broker>>,
    /// The source of a process that is there only to deliver.
    pub required_source: Option<Arc<dyn MessageSource>>,
    /// When the process started, by the monotonic clock.
    pub started_at: Duration,
}

pub struct Health {
    /// When this was determined.
    pub at: Timestamp,
    pub healthy: bool,
    pub uptime: Duration,
    /// Messages of all tenants that still have to be delivered; 0 when the database does not answer.
    pub open_messages: u64,
    pub tally: TallySnapshot,
    pub broker: BrokerHealth,
}

#[derive(Clone, Debug, Default)]
pub struct BrokerHealth {
    pub connected: bool,
    pub addresses: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("the consumer has not joined its group")]
    NotJoined,
}

impl ReportHealth {
    /// Whether the process can do its work. Accepting messages needs no broker; delivering what other processes
    /// accepted does.
    ///
    /// # Errors
    /// What the process cannot do.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.storage.ping().await?;
        match &self.required_source {
            Some(source) if !source.has_joined() => Err(NotReady::NotJoined),
            _ => Ok(()),
        }
    }

    pub async fn health(&self) -> Health {
        let is_ready = self.ready().await;
        let open = match is_ready {
            Err(NotReady::Repository(_)) => None,
            _ => self.search.count_open().await.ok(),
        };
        let broker = self.broker.as_ref().map_or_else(BrokerHealth::default, |broker| BrokerHealth {
            connected: broker.is_connected(),
            addresses: broker.addresses(),
        });
        Health {
            at: self.clock.now(),
            healthy: is_ready.is_ok() && open.is_some(),
            broker,
            uptime: self.clock.monotonic().saturating_sub(self.started_at),
            open_messages: open.unwrap_or(0),
            tally: self.tally.snapshot(),
        }
    }
}
