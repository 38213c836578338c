use async_trait::async_trait;

use super::NewEvent;

/// Keeps events on this machine while the database does not take them.
///
/// `tests/contracts/events/event_spool.rs` proves what is promised here.
#[async_trait]
pub trait EventSpool: Send + Sync {
    /// Keeps an event. On disk once it is answered, whatever ends this process then.
    async fn append(&self, new: &NewEvent) -> Result<(), SpoolError>;

    /// The oldest portion of what is kept, in the order in which it was appended; the same one until it is
    /// [discarded](Self::discard). What cannot be read is passed over, kept aside and reported.
    async fn oldest(&self) -> Result<Option<Portion>, SpoolError>;

    /// Forgets the portion of this number: all of its events are stored elsewhere, or
    /// [set aside](Self::set_aside).
    async fn discard(&self, number: u64) -> Result<(), SpoolError>;

    /// Keeps an event apart that the database will not take, for a person to look at, and reports it.
    async fn set_aside(&self, new: &NewEvent, reason: &str) -> Result<(), SpoolError>;

    fn standing(&self) -> SpoolStanding;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    pub number: u64,
    pub events: Vec<NewEvent>,
}

/// Bytes that an event may well have.
const USUAL_EVENT: u64 = 4_096;

/// How a spool is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpoolStanding {
    /// Events that wait in it.
    pub events: u64,
    pub bytes: u64,
    pub most_bytes: u64,
    /// The last attempt to keep an event failed.
    pub is_failing: bool,
    /// What an operator should look at, a sentence each.
    pub troubles: Vec<String>,
}

impl SpoolStanding {
    /// Whether an event that comes now would be kept, as far as is known.
    pub fn takes_events(&self) -> bool {
        !self.is_failing && self.most_bytes.saturating_sub(self.bytes) >= USUAL_EVENT
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool is full (SPOOL_MAX_BYTES)")]
    Full,
    #[error("too many events wait for the spool's disk")]
    Busy,
    #[error("the spool cannot be used: {0}")]
    Unusable(String),
}

/// Whether events go straight to the spool, whatever the database does.
pub trait EmergencySwitch: Send + Sync {
    fn is_on(&self) -> bool;

    /// Until it is set otherwise, also after a restart.
    fn set(&self, on: bool) -> Result<(), SpoolError>;
}
