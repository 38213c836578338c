//! What the SQL adapters share: how a decision of the application becomes columns.

mod flaws;
mod gathering;
mod questions;
mod recording;

use chrono::Days;
use uuid::Uuid;

pub use flaws::Flaws;
pub use gathering::{Batch, Gathering, Question};
pub use questions::{Accept, Claim, Ending};
pub use recording::Recording;

use crate::application::ports::Outcome;
use crate::domain::Timestamp;
use crate::domain::attempt::AttemptOutcome;
use crate::domain::delivery::{DeliveryError, FailureKind};
use crate::domain::message::MessageStatus;
use crate::domain::retry::NextStep;

/// The largest number of a column, in either database. A `try` that has come as far cannot go up any more.
pub const LARGEST_NUMBER: u32 = i32::MAX.cast_unsigned();

/// What stands in the row instead of a text that the database refused.
pub const UNSTORABLE: &str = "(the database could not store what the channel said)";

/// How many of the messages that one node owns are asked at once whether they are lost. No index tells: one on
/// `updated_at` would be written with every message, for what hardly ever happens. So it is asked from the oldest on, and
/// where these are all in order, it is not asked further: the younger are found when the older have ended.
pub const ASKED_IF_LOST: u32 = 10_000;

/// The least id of a message accepted at `time`.
pub fn first_id(time: Timestamp) -> Uuid {
    least_id(time.timestamp_millis())
}

/// An id above those of all messages that were accepted, and so of all that were last handed over, before `time`.
pub fn id_above(time: Timestamp) -> Uuid {
    least_id(time.timestamp_millis() + 1)
}

/// A moment that no clock of ours has come to, however wrong it is.
pub fn tomorrow(now: Timestamp) -> Timestamp {
    now.checked_add_days(Days::new(1)).unwrap_or(now)
}

/// Ids are UUIDv7s: their upper 48 bits are the Unix time in milliseconds.
fn least_id(milliseconds: i64) -> Uuid {
    const LAST: i64 = (1 << 48) - 1;
    let milliseconds = milliseconds.clamp(0, LAST).cast_unsigned();
    Uuid::from_u128(u128::from(milliseconds) << 80)
}

/// The columns that the end of a try writes, in the message and in its attempt.
#[derive(Clone, Debug)]
pub struct OutcomeRow {
    pub status: MessageStatus,
    pub attempt: AttemptOutcome,
    pub channel_message_id: Option<String>,
    pub error: Option<String>,
    pub failure: Option<FailureKind>,
    pub http_status: Option<u16>,
    pub next_attempt_at: Option<Timestamp>,
    pub dead_lettered_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    /// Whether the attempt has a row of its own: a first one that succeeded is told by the message's.
    pub told: bool,
}

impl OutcomeRow {
    pub fn of(outcome: &Outcome) -> Self {
        match &outcome.next {
            NextStep::Sent(acceptance) => Self {
                status: MessageStatus::Sent,
                attempt: AttemptOutcome::Sent,
                channel_message_id: acceptance.channel_message_id.clone(),
                error: None,
                failure: None,
                http_status: acceptance.http_status,
                next_attempt_at: None,
                dead_lettered_at: None,
                sent_at: Some(outcome.finished_at),
                told: outcome.guard.try_number != 1,
            },
            NextStep::Failed { failure, error } => Self {
                failure: Some(*failure),
                dead_lettered_at: outcome.dead_lettered_at,
                ..Self::unsuccessful(MessageStatus::Failed, error)
            },
            NextStep::Retry { at, error } => {
                Self { next_attempt_at: Some(*at), ..Self::unsuccessful(MessageStatus::Queued, error) }
            }
        }
    }

    fn unsuccessful(status: MessageStatus, error: &DeliveryError) -> Self {
        Self {
            status,
            attempt: error.kind.into(),
            channel_message_id: None,
            error: Some(error.reason.clone()),
            failure: None,
            http_status: error.http_status,
            next_attempt_at: None,
            dead_lettered_at: None,
            sent_at: None,
            told: true,
        }
    }

    /// The same outcome without the channel's words.
    pub fn without_texts(self) -> Self {
        let replaced = |text: Option<String>| text.map(|_| UNSTORABLE.to_owned());
        Self { channel_message_id: replaced(self.channel_message_id), error: replaced(self.error), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_millisecond_lie_between_its_bounds() {
        let time: Timestamp = "2026-11-23T12:00:00.123Z".parse().unwrap();
        let id =
            Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, time.timestamp().cast_unsigned(), 123_999_999));
        assert!(first_id(time) < id && id < id_above(time));
        assert_eq!(id_above(Timestamp::UNIX_EPOCH - chrono::Duration::days(1)), Uuid::nil());
        assert!(id < id_above(Timestamp::MAX_UTC));
    }
}
