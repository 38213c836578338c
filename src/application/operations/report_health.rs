use std::sync::Arc;
use std::time::Duration;

use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::{Tally, TallySnapshot};
use crate::application::operations::look_at_stores::{Look, LookAtStores};
use crate::application::ports::{Broker, Clock, MessageSource, RepositoryError, Storage, WeeksStanding};
use crate::domain::Timestamp;

/// Reports the health of the process.
pub struct ReportHealth {
    pub storage: Arc<dyn Storage>,
    pub look: LookAtStores,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    pub identity: NodeIdentity,
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
    /// None: messages are not stored by weeks, or the database does not answer.
    pub weeks: Option<WeeksStanding>,
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
    /// A database that answers need not take what is written: its disk may be full.
    #[error("no heartbeat could be written for nearly NODE_TIMEOUT")]
    NoHeartbeat,
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
        if self.identity.current().is_none() {
            return Err(NotReady::NoHeartbeat);
        }
        if self.has_joined() { Ok(()) } else { Err(NotReady::NotJoined) }
    }

    fn has_joined(&self) -> bool {
        self.required_source.as_ref().is_none_or(|source| source.has_joined())
    }

    /// What is stored is looked at every two seconds at most, however often this is asked for.
    pub async fn health(&self) -> Health {
        let Look { open, weeks } = self.look.recent().await;
        let broker = self.broker.as_ref().map_or_else(BrokerHealth::default, |broker| BrokerHealth {
            connected: broker.is_connected(),
            addresses: broker.addresses(),
        });
        Health {
            at: self.clock.now(),
            healthy: open.is_some() && self.has_joined(),
            broker,
            uptime: self.clock.monotonic().saturating_sub(self.started_at),
            open_messages: open.unwrap_or(0),
            weeks,
            tally: self.tally.snapshot(),
        }
    }
}
