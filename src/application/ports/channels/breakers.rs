use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::breaker::{BreakerOf, BreakerState, Course, ProbeEnd};
use crate::domain::message::Message;

/// The breakers that are not closed, among all processes that share a database. Times are by its clock, where it has one of its
/// own.
///
/// `tests/contracts/delivery/breakers.rs` proves what is promised here.
#[async_trait]
pub trait Breakers: Send + Sync {
    /// Opens a breaker that is closed; one that is open stays as it is. Returns whether it did.
    async fn open(&self, opening: &Opening) -> Result<bool, RepositoryError>;

    /// Reserves the one probe of a breaker that is open, if its time has come: however many ask at the same time, one gets it.
    /// Until that one has ended, or its time is over, no other is given, so that a process which dies takes none with it. One
    /// that is disabled has none. Returns how many have failed since it opened.
    async fn probe(&self, asked: &ProbeAsked) -> Result<Option<u32>, RepositoryError>;

    /// What a probe has led to. One whose time was over, and was given to another one, changes nothing. Returns whether it
    /// changed something.
    async fn end(&self, ended: &ProbeEnded) -> Result<bool, RepositoryError>;

    /// Closes one because a person says so, disabled or not. Returns whether it was open.
    async fn close(&self, of: &BreakerOf, now: Timestamp) -> Result<bool, RepositoryError>;

    /// All that are not closed, and those whose last change is to be told.
    async fn all(&self, now: Timestamp) -> Result<Vec<BreakerRow>, RepositoryError>;

    /// Stores the messages that tell of a change, if that is the last one and was not told yet, in one transaction: it is told
    /// once, whoever tells it. One that is closed, and of which all is told, is forgotten. Returns whether they were stored.
    async fn tell(&self, of: &BreakerOf, change: i64, messages: &[Message]) -> Result<bool, RepositoryError>;
}

#[derive(Clone, Debug)]
pub struct Opening {
    pub of: BreakerOf,
    pub tenant: Tenant,
    /// A sentence for people.
    pub reason: String,
    /// Until the first probe.
    pub pause: Duration,
    /// By the clock of the process; only where the database has no clock of its own. As in all that is asked here.
    pub now: Timestamp,
}

#[derive(Clone, Debug)]
pub struct ProbeAsked {
    pub of: BreakerOf,
    /// The name of this probe: no other has it.
    pub probe: Uuid,
    /// How long it may take. Afterwards another one may be given.
    pub lease: Duration,
    pub now: Timestamp,
}

#[derive(Clone, Debug)]
pub struct ProbeEnded {
    pub of: BreakerOf,
    pub probe: Uuid,
    pub end: ProbeEnd,
    pub now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerRow {
    pub of: BreakerOf,
    pub tenant: Tenant,
    /// Half-open only as long as its probe may take.
    pub state: BreakerState,
    /// Since when it is not closed any more; of one that is closed, since when it is.
    pub since: Timestamp,
    /// Why it opened, or its last probe failed. None: it is closed.
    pub reason: Option<String>,
    pub disabled_at: Option<Timestamp>,
    /// Until the next probe.
    pub probe_in: Duration,
    /// How long the time of its probe has come without one being made.
    pub idle: Duration,
    /// How long the probe that is under way may still take.
    pub probing: Option<Duration>,
    /// Counts its changes, as far as they are told: it opens, is disabled, closes.
    pub changes: i64,
    /// How many of them were told.
    pub told: i64,
}

impl BreakerRow {
    pub fn is_untold(&self) -> bool {
        self.told < self.changes
    }

    /// As it is now, by the clock that its times are by.
    pub fn of(of: BreakerOf, tenant: Tenant, course: Course, now: Timestamp) -> Self {
        let from_now = |time: Timestamp| (time - now).to_std().unwrap_or_default();
        Self {
            state: course.state_at(now),
            probe_in: from_now(course.probe_at),
            idle: (now - course.probe_at).to_std().unwrap_or_default(),
            probing: course.probe.map(|probe| from_now(probe.until)).filter(|rest| *rest > Duration::ZERO),
            of,
            tenant,
            since: course.since,
            reason: course.reason,
            disabled_at: course.disabled_at,
            changes: course.changes,
            told: course.told,
        }
    }
}
