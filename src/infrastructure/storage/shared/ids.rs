//! How time is found in ids.

use chrono::{Days, TimeDelta};
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::message::MessageId;

/// The least id of a message accepted at `time`.
pub fn first_id(time: Timestamp) -> Uuid {
    least_id(time.timestamp_millis())
}

/// When the message of an id was accepted.
pub fn time_of(id: Uuid) -> Timestamp {
    let milliseconds = i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX);
    Timestamp::from_timestamp_millis(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
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

/// An id above those that clocks make which differ from ours by no more than clocks do.
pub fn id_ahead(now: Timestamp) -> Uuid {
    id_above(now.checked_add_signed(TimeDelta::minutes(5)).unwrap_or(now))
}

/// A moment that no clock of ours has come to, however wrong it is.
pub fn tomorrow(now: Timestamp) -> Timestamp {
    now.checked_add_days(Days::new(1)).unwrap_or(now)
}

/// A week of ids, in milliseconds.
pub const WEEK: i128 = 7 * 24 * 60 * 60 * 1_000;

/// From the Monday before 1970 to its first moment, in milliseconds.
pub const MONDAY: i128 = 3 * 24 * 60 * 60 * 1_000;

/// The week in which a message with this id lies, from Monday to Monday in UTC.
pub fn week_of(id: MessageId) -> i128 {
    (i128::try_from(id.0.as_u128() >> 80).unwrap_or_default() + MONDAY).div_euclid(WEEK)
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
        assert_eq!((time_of(id), time_of(first_id(time))), (time, time));
        assert!(time_of(Uuid::max()) > time);
        assert_eq!(id_above(Timestamp::UNIX_EPOCH - chrono::Duration::days(1)), Uuid::nil());
        assert!(id < id_above(Timestamp::MAX_UTC));
    }
}
