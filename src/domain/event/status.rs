use std::fmt;

/// Where an event is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventStatus {
    /// Stored; no step was begun.
    Received,
    Processing,
    /// Every step is done.
    Processed,
    /// A step failed and is tried again.
    Failed,
    /// A step failed for good: a person decides.
    DeadLetter,
}

use EventStatus::{DeadLetter, Failed, Processed, Processing, Received};

/// Every move that an event may make.
pub const MOVES: &[(EventStatus, EventStatus)] = &[
    (Received, Processing),
    // A step may be done before it is seen to have begun.
    (Received, Processed),
    (Received, Failed),
    (Received, DeadLetter),
    (Processing, Processed),
    (Processing, Failed),
    (Processing, DeadLetter),
    (Failed, Processing),
    (Failed, Processed),
    (Failed, DeadLetter),
    // Replayed by a person.
    (DeadLetter, Received),
    (Processed, Received),
    // Another step of it is still open.
    (DeadLetter, Processing),
];

impl EventStatus {
    pub const ALL: [EventStatus; 5] = [Received, Processing, Processed, Failed, DeadLetter];

    pub fn as_str(self) -> &'static str {
        match self {
            Received => "received",
            Processing => "processing",
            Processed => "processed",
            Failed => "failed",
            DeadLetter => "dead_letter",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub fn may_become(self, next: Self) -> bool {
        self == next || MOVES.contains(&(self, next))
    }

    /// Whether nothing more happens by itself.
    pub fn is_at_its_end(self) -> bool {
        matches!(self, Processed | DeadLetter)
    }
}

impl fmt::Display for EventStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_as_it_is_written() {
        for status in EventStatus::ALL {
            assert_eq!(EventStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(EventStatus::parse("sent"), None);
    }

    #[test]
    fn what_is_at_its_end_leaves_it_only_by_a_person_or_by_another_step() {
        for (from, to) in MOVES.iter().filter(|(from, _)| from.is_at_its_end()) {
            assert!(*to == Received || (*from, *to) == (DeadLetter, Processing), "{from} -> {to}");
        }
    }
}
