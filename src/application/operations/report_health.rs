use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use crate::application::events::database_gate::DatabaseGate;
use crate::application::hindrances::Hindrances;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::{Tally, TallySnapshot};
use crate::application::operations::look_at_stores::{Look, LookAtStores};
use crate::application::operations::seen_brokers::{BrokerHealth, SeenBrokers};
use crate::application::operations::shared_ping::SharedPing;
use crate::application::ports::{
    Clock, EmergencySwitch, EventSpool, MessageSource, RepositoryError, SpoolStanding, WeeksStanding,
};
use crate::application::receipts::CountStuck;
use crate::domain::Timestamp;

/// Longer than any rebalance.
const KEPT_OUT_FOR_LONG: Duration = Duration::from_secs(60);

/// How long a look at what is stored may take.
const LONGEST_LOOK: Duration = Duration::from_secs(3);

/// How long the count of what is stuck may take.
const LONGEST_COUNT: Duration = Duration::from_secs(1);
/// Before that a connection to Kafka may still be on its way.
const KNOWN_AFTER: Duration = Duration::from_secs(5);

/// Reports the health of the process.
pub struct ReportHealth {
    pub ping: SharedPing,
    pub look: LookAtStores,
    pub stuck: Arc<CountStuck>,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    pub identity: NodeIdentity,
    pub hindrances: Hindrances,
    pub brokers: SeenBrokers,
    /// Of a process that consumes.
    pub source: Option<Arc<dyn MessageSource>>,
    /// The process accepts nothing: without its source it is of no use.
    pub only_delivers: bool,
    /// When the process started, by the monotonic clock.
    pub started_at: Duration,
    /// Of a process that takes events in, like `emergency`.
    pub spool: Option<Arc<dyn EventSpool>>,
    pub emergency: Option<Arc<dyn EmergencySwitch>>,
    /// Whether the database takes events, as those who bring them have found.
    pub gate: DatabaseGate,
}

pub struct Health {
    /// When this was determined.
    pub at: Timestamp,
    pub condition: Condition,
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
    pub services: Services,
    /// What this process could not do for a while, a sentence each.
    pub hindrances: Vec<String>,
    /// None: the process takes no events in.
    pub spool: Option<SpoolStanding>,
    pub is_emergency: bool,
}

impl Health {
    /// Whether it does what it is there for, if not all of it at once.
    pub fn is_serving(&self) -> bool {
        self.condition != Condition::Unhealthy
    }
}

/// How a process is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Healthy,
    /// Everything is there and taken, and some of what is to be done does not go on.
    Hindered,
    /// Something is away, and what is reported meanwhile is kept.
    Degraded,
    Unhealthy,
}

/// What a process leans on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    pub kafka: ServiceCondition,
    pub database: ServiceCondition,
    pub filesystem: ServiceCondition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceCondition {
    Ok,
    Error,
    /// It is not used here.
    Disabled,
    /// It is not used as long as the emergency lasts.
    DisabledInEmergency,
}

impl ServiceCondition {
    fn of(is_well: bool) -> Self {
        if is_well { Self::Ok } else { Self::Error }
    }
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
        // A database that is frozen is told from one that is slow by those who wait, and they wait for 5 s.
        let look = match select(pin!(self.look.recent()), self.clock.sleep(LONGEST_LOOK)).await {
            Either::Left((look, _)) => look,
            Either::Right(_) => Look::default(),
        };
        let Look { open, weeks, troubles } = look;
        // A database that does not answer is not asked more, and no count is waited for that takes long.
        let stuck = match open {
            Some(_) => match select(pin!(self.stuck.recent()), self.clock.sleep(LONGEST_COUNT)).await {
                Either::Left((stuck, _)) => stuck,
                Either::Right(_) => None,
            },
            None => None,
        };
        let broker = self.brokers.health();
        let is_emergency = self.emergency.as_ref().is_some_and(|emergency| emergency.is_on());
        let spool = self.spool.as_ref().map(|spool| spool.standing());
        let is_there = open.is_some() && self.gate.is_open();
        let stores = is_there && self.has_a_name().is_ok();
        let services = self.services(is_there, broker.connected, spool.as_ref(), is_emergency);
        let takes = takes_anything(stores, spool.as_ref(), is_emergency);
        let condition = match self.consumes() {
            Ok(()) => condition(takes, stores || is_emergency, services),
            Err(_) => Condition::Unhealthy,
        };
        let hindrances = self.hindrances.sentences();
        let is_hindered = condition == Condition::Healthy && !hindrances.is_empty();
        Health {
            at: self.clock.now(),
            condition: if is_hindered { Condition::Hindered } else { condition },
            broker,
            uptime: self.uptime(),
            open_messages: open.unwrap_or(0),
            stuck: stuck.map(|stuck| stuck.total()),
            weeks,
            storage_troubles: troubles,
            tally: self.tally.snapshot(),
            services,
            hindrances,
            spool,
            is_emergency,
        }
    }

    pub fn uptime(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started_at)
    }

    fn services(
        &self,
        has_database: bool,
        has_broker: bool,
        spool: Option<&SpoolStanding>,
        is_emergency: bool,
    ) -> Services {
        let unless_emergency = |condition| if is_emergency { ServiceCondition::DisabledInEmergency } else { condition };
        let kafka = if self.brokers.are_configured() {
            // With topics alone, the first connection may still be on its way.
            let is_early = self.brokers.broker.is_none() && self.uptime() < KNOWN_AFTER;
            ServiceCondition::of(has_broker || is_early)
        } else {
            ServiceCondition::Disabled
        };
        Services {
            kafka: unless_emergency(kafka),
            database: unless_emergency(ServiceCondition::of(has_database)),
            filesystem: ServiceCondition::of(spool.is_none_or(SpoolStanding::takes_events)),
        }
    }
}

/// Whether anything that comes is kept. In an emergency events go to the spool: to the database only where there is no spool, not
/// where it is full.
fn takes_anything(stores: bool, spool: Option<&SpoolStanding>, is_emergency: bool) -> bool {
    let keeps_events = spool.is_some_and(SpoolStanding::takes_events);
    let stores_events = stores && (!is_emergency || spool.is_none_or(|spool| spool.is_failing));
    keeps_events || stores_events
}

/// A process that keeps nothing is not healthy.
fn condition(takes_anything: bool, is_whole: bool, services: Services) -> Condition {
    let is_away = |condition| condition == ServiceCondition::Error;
    if !takes_anything {
        return Condition::Unhealthy;
    }
    let is_all_well =
        is_whole && ![services.kafka, services.database, services.filesystem].map(is_away).contains(&true);
    if is_all_well { Condition::Healthy } else { Condition::Degraded }
}
