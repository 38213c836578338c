//! What a source reports: stored once, with the history of what became of it, and handled step by step.

pub mod history;
pub mod kind;
pub mod known_kinds;
pub mod status;
pub mod step;
pub mod table;

use std::fmt;

use uuid::Uuid;

use super::Timestamp;
use super::access::principal::Tenant;

pub use history::HistoryEntry;
pub use status::EventStatus;
pub use step::{Step, StepResult};

/// A UUIDv7: its order is the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// One thing that a source reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub tenant: Tenant,
    /// The name of the source that reported it.
    pub source: String,
    /// What its reporter calls it, and it is called in answers; the text of its id where the reporter has no name for it.
    pub name: String,
    /// What a repeat of it has in common with it. None: it is never taken for a repeat.
    pub key: Option<String>,
    /// `deal.updated`, `VENDA`
    pub kind: String,
    /// Who reported it, as far as the source tells them apart.
    pub origin: Option<String>,
    /// The same, as the report says: nothing proves it.
    pub claimed_origin: Option<String>,
    /// Events with the same one are handled in the order of their arrival, as far as nothing fails.
    pub ordering_key: Option<String>,
    /// JSON, byte for byte as it was stored first.
    pub data: String,
    /// How it came to be stored, in the words of the source's answers.
    pub via: Option<String>,
    /// When it happened, as its reporter says.
    pub occurred_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub status: EventStatus,
    /// Why its last step failed.
    pub error: Option<String>,
    pub updated_at: Timestamp,
}

/// The most characters of a name, a key, a type, an origin or an ordering key.
pub const LONGEST_NAME: usize = 255;

/// The most characters of a reason that is kept.
pub const LONGEST_REASON: usize = 1_000;
