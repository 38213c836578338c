//! What either database can hold, and how time is found in ids.

use chrono::Days;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::message::MessageId;

/// The largest number of a column, in either database. A `try` that has reached it cannot go up any more.
pub const LARGEST_NUMBER: u32 = i32::MAX.cast_unsigned();

/// What stands in the row instead of a text that the database refused.
pub const UNSTORABLE: &str = "(the database could not store what the channel said)";

/// How many of the messages that one node owns are checked at a time for being lost. No index serves this: one on
/// `updated_at` would be written with every message, for what hardly ever happens. So the check begins with the oldest,
/// and where these are all in order, it goes no further: the younger are found when the older have ended.
pub const ASKED_IF_LOST: u32 = 10_000;

/// The least id of a message accepted at `time`.
pub fn first_id(time: Timestamp) -> Uuid {
    least_id(time.timestamp_millis())
}

/// An id above those of all messages that were accepted, and so of all that were last handed over, before `time`.
pub fn id_above(time: Timestamp) -> Uuid {
    least_id(time.timestamp_millis() + 1)
}

/// An id that no message created at `time` or later is below. A message gets its id and its time at nearly the same
/// moment; a day is for a clock that is put right in between.
pub fn id_of_those_since(time: Timestamp) -> Uuid {
    first_id(time.checked_sub_days(Days::new(1)).unwrap_or(time))
}

/// An id that all messages created before `time` are below, with the same day in between.
pub fn id_of_those_before(time: Timestamp) -> Uuid {
    id_above(time.checked_add_days(Days::new(1)).unwrap_or(time))
}

/// The least and the greatest of these ids: what a statement is told beside a list of them, because a plan that is kept
/// passes over no partition for a list.
pub fn span(ids: impl Iterator<Item = MessageId> + Clone) -> (Option<Uuid>, Option<Uuid>) {
    (ids.clone().map(|id| id.0).min(), ids.map(|id| id.0).max())
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
