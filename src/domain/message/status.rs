use std::fmt;
use std::str::FromStr;

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    Pending,
    Queued,
    Processing,
    Sent,
    Delivered,
    Read,
    Failed,
    Cancelled,
}

use MessageStatus::{Cancelled, Delivered, Failed, Pending, Processing, Queued, Read, Sent};

/// Every move a message may make. What is not listed is refused, by the domain and by the SQL guards alike. (A write may make
/// two of them: deleting an instance, or an outcome whose claim was lost, claims a queued message and ends it.)
///
/// [`CHANGES`](super::transition::CHANGES) says which change makes which; tests hold both, and the text of the SQL, against each other.
pub const MOVES: &[(MessageStatus, MessageStatus)] = &[
    (Pending, Sent), // direct: one try, the caller waits
    (Pending, Failed),
    (Pending, Queued),    // the relay takes it over
    (Queued, Processing), // claimed
    (Processing, Queued), // given back, for a retry or because its node is gone
    (Queued, Queued),     // the relay takes it: another node, the same state
    (Processing, Sent),
    (Processing, Failed),
    (Queued, Cancelled), // taken back before it was claimed
    (Failed, Queued),    // replayed by a person
    (Sent, Delivered),
    (Delivered, Read),
    (Sent, Read),
    (Sent, Failed), // a receipt that says so
    (Failed, Sent), // a receipt of one that may have been delivered
    (Failed, Delivered),
    (Failed, Read),
    (Failed, Failed), // it was not
    (Queued, Sent),   // a receipt of an earlier try that may have been delivered
    (Queued, Delivered),
    (Queued, Read),
];

impl MessageStatus {
    pub const ALL: [MessageStatus; 8] = [Pending, Queued, Processing, Sent, Delivered, Read, Failed, Cancelled];

    /// The states in which some node still has to act on the message.
    pub const OPEN: [MessageStatus; 3] = [Pending, Queued, Processing];

    pub fn may_become(self, next: MessageStatus) -> bool {
        MOVES.contains(&(self, next))
    }

    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Pending => "pending",
            Queued => "queued",
            Processing => "processing",
            Sent => "sent",
            Delivered => "delivered",
            Read => "read",
            Failed => "failed",
            Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for MessageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MessageStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown state of a message: `{0}`")]
pub struct UnknownStatus(String);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_status() -> impl Strategy<Value = MessageStatus> {
        proptest::sample::select(MessageStatus::ALL.to_vec())
    }

    /// How far along a message is; receipts only ever raise it.
    fn progress(status: MessageStatus) -> u8 {
        match status {
            Pending | Queued | Processing => 0,
            Sent => 1,
            Delivered => 2,
            Read => 3,
            Failed => 4,
            Cancelled => 5,
        }
    }

    proptest! {
        #[test]
        fn a_message_never_moves_backwards_but_by_a_replay_or_a_receipt_after_an_unknown_failure(walk in proptest::collection::vec(any_status(), 1..40)) {
            let mut now = walk[0];
            for next in walk {
                if now.may_become(next) {
                    let may_go_back = now == Failed && [Queued, Sent, Delivered, Read].contains(&next);
                    prop_assert!(progress(next) >= progress(now) || may_go_back);
                    now = next;
                }
            }
        }

        #[test]
        fn every_open_state_can_reach_every_end(start in proptest::sample::select(MessageStatus::OPEN.to_vec())) {
            for end in [Sent, Failed, Cancelled] {
                let mut seen = vec![start];
                let mut next = 0;
                while next < seen.len() {
                    let here = seen[next];
                    let reached: Vec<_> = MessageStatus::ALL.into_iter().filter(|to| here.may_become(*to) && !seen.contains(to)).collect();
                    seen.extend(reached);
                    next += 1;
                }
                prop_assert!(seen.contains(&end));
            }
        }

        #[test]
        fn what_was_read_or_cancelled_stays_so(next in any_status()) {
            prop_assert!(!Read.may_become(next) && !Cancelled.may_become(next));
        }

        #[test]
        fn a_name_reads_back_as_its_state(status in any_status()) {
            prop_assert_eq!(status.as_str().parse::<MessageStatus>().ok(), Some(status));
        }

        #[test]
        fn other_names_are_refused(name in "\\PC{0,12}") {
            let known = MessageStatus::ALL.iter().any(|status| status.as_str() == name);
            prop_assert_eq!(name.parse::<MessageStatus>().is_ok(), known);
        }
    }
}
