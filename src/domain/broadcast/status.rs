use std::fmt;
use std::str::FromStr;

/// Where a broadcast is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BroadcastStatus {
    /// Its time has not come.
    Scheduled,
    /// Its messages are being made.
    Expanding,
    /// All are made, and some are under way.
    Expanded,
    /// No more are made until it is resumed.
    Paused,
    /// No more are made, and what was queued is cancelled.
    Cancelled,
    /// All have ended.
    Finished,
}

use BroadcastStatus::{Cancelled, Expanded, Expanding, Finished, Paused, Scheduled};

impl BroadcastStatus {
    pub const ALL: [BroadcastStatus; 6] = [Scheduled, Expanding, Expanded, Paused, Cancelled, Finished];

    /// Of one that was just accepted.
    pub fn of_new(is_for_later: bool, total: u32) -> Self {
        match (total, is_for_later) {
            (0, _) => Finished,
            (_, true) => Scheduled,
            (_, false) => Expanding,
        }
    }

    /// Of one that is resumed.
    pub fn of_resumed(is_for_later: bool, waits: u32) -> Self {
        match (waits, is_for_later) {
            (0, _) => Expanded,
            (_, true) => Scheduled,
            (_, false) => Expanding,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Scheduled => "scheduled",
            Expanding => "expanding",
            Expanded => "expanded",
            Paused => "paused",
            Cancelled => "cancelled",
            Finished => "finished",
        }
    }

    /// Whether messages may still be made of it.
    pub fn may_make_more(self) -> bool {
        matches!(self, Scheduled | Expanding | Paused)
    }

    /// Whether nothing becomes of it any more.
    pub fn is_at_its_end(self) -> bool {
        matches!(self, Cancelled | Finished)
    }
}

impl fmt::Display for BroadcastStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BroadcastStatus {
    type Err = UnknownBroadcastStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownBroadcastStatus)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown state of a broadcast")]
pub struct UnknownBroadcastStatus;
