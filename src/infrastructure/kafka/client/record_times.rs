//! The times that records carry, and what happens when Kafka refuses them.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::troubles::{About, Troubles};
use crate::application::ports::Clock;
use crate::domain::Timestamp;

/// Stands for "no time" in a record.
pub const NO_TIME: i64 = -1;

/// How long records go without a time after one was refused.
const PAUSE: Duration = Duration::from_secs(60);

/// Kafka 4 refuses a record, and the whole batch with it, whose time is an hour ahead of the broker's clock
/// (`message.timestamp.after.max.ms`). A record without one is taken, and stored without one where the topic does not write
/// down when it was appended.
pub struct RecordTimes {
    clock: Arc<dyn Clock>,
    troubles: Arc<Troubles>,
    /// What becomes of records while they go without: the end of a sentence.
    consequence: String,
    /// When times are tried again, by the monotonic clock. None: they are not refused.
    timeless_until: Mutex<Option<Duration>>,
}

impl RecordTimes {
    pub fn new(clock: Arc<dyn Clock>, troubles: Arc<Troubles>, consequence: impl Into<String>) -> Self {
        Self { clock, troubles, consequence: consequence.into(), timeless_until: Mutex::default() }
    }

    /// Whether records go without a time now.
    pub fn is_refused(&self) -> bool {
        let until = *self.timeless_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Milliseconds since 1970, as the record of a message shall carry them.
    pub fn of(&self, handed_over_at: Timestamp) -> i64 {
        if self.is_refused() { NO_TIME } else { handed_over_at.timestamp_millis() }
    }

    /// Kafka has taken a record with this time. Returns whether that ends a refusal.
    pub fn taken(&self, time: i64) -> bool {
        let mut until = self.timeless_until.lock().unwrap_or_else(PoisonError::into_inner);
        // What was under way before the refusal says nothing.
        let is_over = until.is_some_and(|until| self.clock.monotonic() >= until) && time != NO_TIME;
        if is_over {
            *until = None;
            self.troubles.over(&About::Clock);
        }
        is_over
    }

    /// Kafka has refused a batch in which one record had this time. Returns whether the record may be tried again at once,
    /// without a time.
    pub fn refused(&self, time: i64) -> bool {
        if time == NO_TIME {
            return false;
        }
        let until = self.clock.monotonic() + PAUSE;
        *self.timeless_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.troubles.found(About::Clock, self.sentence(time));
        true
    }

    fn sentence(&self, time: i64) -> String {
        // What was handed over a moment ago has the time of this process's clock.
        const MOMENT: TimeDelta = TimeDelta::minutes(5);
        let ahead = TimeDelta::milliseconds(time.saturating_sub(self.clock.now().timestamp_millis()));
        let cause = if ahead.abs() < MOMENT {
            "the clock of this process differs from the Kafka broker's by more than the topic allows".to_owned()
        } else {
            format!("a message carries a time {} minutes away from this process's clock", ahead.num_minutes())
        };
        format!(
            "{cause} (message.timestamp.after.max.ms and before.max.ms; an hour ahead in Kafka 4): {}; set the clocks right",
            self.consequence
        )
    }
}
