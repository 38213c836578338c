use std::sync::Arc;
use std::time::Duration;

use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::{Tally, TallySnapshot};
use crate::application::operations::look_at_stores::{Look, LookAtStores};
use crate::application::operations::shared_ping::SharedPing;
use crate::application::ports::{Broker, Clock, MessageSource, RepositoryError, WeeksStanding};
use crate::application::receipts::CountStuck;
use crate::domain::Timestamp;

/// Longer than any rebalance.
const KEPT_OUT_FOR_LONG: Duration = Duration::from_secs(60);

/// Reports the health of the process.
pub struct ReportHealth {
    pub ping: SharedPing,
    pub look: LookAtStores,
    pub stuck: Arc<CountStuck>,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    pub identity: NodeIdentity,
    /// None: messages travel without a broker.
    pub broker: Option<Arc<dyn Broker>>,
    /// Of a process that consumes.
    pub source: Option<Arc<dyn MessageSource>>,
    /// The process accepts nothing: without its source it is of no use.
    pub only_delivers: bool,
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
    /// Messages of all tenants that are stuck; none when it is not known.
    pub stuck: Option<u64>,
    /// None: messages are not stored by weeks, or the database does not answer.
    pub weeks: Option<WeeksStanding>,
    /// What is wrong with the database, a sentence each.
    pub storage_troubles: Vec<String>,
    pub tally: TallySnapshot,
    pub broker: BrokerHealth,
}

#[derive(Clone, Debug, Default)]
pub struct BrokerHealth {
    pub connected: bool,
    pub addresses: Vec<String>,
    /// What has been wrong for some seconds, a sentence each.
    pub troubles: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A database that answers need not take what is written: its disk may be full.
    #[error("no heartbeat could be written for nearly NODE_TIMEOUT")]
    NoHeartbeat,
    #[error("the consumer has not joined its group{}", .0.as_ref().map_or_else(String::new, |reason| format!(": {reason}")))]
    NotJoined(Option<String>),
}

impl ReportHealth {
    /// Whether the process can do its work. Accepting messages needs no broker; delivering what other processes
    /// accepted does. A process that does both and that its group has kept out for a minute, with the broker there, goes on
    /// accepting, but is not ready: nothing shows more clearly that its messages wait.
    ///
    /// # Errors
    /// What the process cannot do.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.ping.ping().await?;
        self.has_a_name()?;
        self.consumes()
    }

    fn has_a_name(&self) -> Result<(), NotReady> {
        self.identity.current().map(|_| ()).ok_or(NotReady::NoHeartbeat)
    }

    fn consumes(&self) -> Result<(), NotReady> {
        let Some(source) = self.source.as_ref().filter(|source| !source.has_joined()) else { return Ok(()) };
        match source.kept_out() {
            Some(kept_out) if self.only_delivers || kept_out.lasts >= KEPT_OUT_FOR_LONG => {
                Err(NotReady::NotJoined(Some(kept_out.reason)))
            }
            _ if self.only_delivers => Err(NotReady::NotJoined(None)),
            _ => Ok(()),
        }
    }

    /// A process that is not ready is not healthy. What is stored is looked at every two seconds at most, however often this is asked for.
    pub async fn health(&self) -> Health {
        let Look { open, weeks, troubles } = self.look.recent().await;
        // A database that does not answer is not asked more.
        let stuck = if open.is_some() { self.stuck.recent().await } else { None };
        let broker = self.broker.as_ref().map_or_else(BrokerHealth::default, |broker| BrokerHealth {
            connected: broker.is_connected(),
            addresses: broker.addresses(),
            troubles: broker.troubles(),
        });
        Health {
            at: self.clock.now(),
            healthy: open.is_some() && self.has_a_name().is_ok() && self.consumes().is_ok(),
            broker,
            uptime: self.clock.monotonic().saturating_sub(self.started_at),
            open_messages: open.unwrap_or(0),
            stuck: stuck.map(|stuck| stuck.total()),
            weeks,
            storage_troubles: troubles,
            tally: self.tally.snapshot(),
        }
    }
}
