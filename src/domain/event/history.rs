use super::{EventStatus, Step};
use crate::domain::Timestamp;

/// One line of what became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The event's status from then on.
    pub status: EventStatus,
    /// Which step it tells of, if it tells of one.
    pub step: Option<Step>,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// An event's history has so many lines at the most: what happens beyond that changes the event alone.
pub const LONGEST_HISTORY: u32 = 200;
