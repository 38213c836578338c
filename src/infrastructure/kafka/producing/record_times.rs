//! The times that records carry, and what happens when Kafka refuses them.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use crate::application::ports::Clock;
use crate::domain::Timestamp;
use crate::infrastructure::kafka::client::{About, Troubles};

/// Stands for "no time" in a record.
pub const NO_TIME: i64 = -1;

/// How long records go without a time after one was refused.
const PAUSE: Duration = Duration::from_secs(60);

/// Kafka 4 refuses a record, and the whole batch with it, whose time is an hour ahead of the broker's clock
/// (`message.timestamp.after.max.ms`). The time serves only to find out what Kafka has lost: a record without one is
/// delivered all the same.
pub struct RecordTimes {
    clock: Arc<dyn Clock>,
    troubles: Arc<Troubles>,
    /// When times are tried again, by the monotonic clock. None: they are not refused.
    timeless_until: Mutex<Option<Duration>>,
}

impl RecordTimes {
    pub fn new(clock: Arc<dyn Clock>, troubles: Arc<Troubles>) -> Self {
        Self { clock, troubles, timeless_until: Mutex::default() }
    }

    /// Milliseconds since 1970, as the record of a message shall carry them.
    pub fn of(&self, handed_over_at: Timestamp) -> i64 {
        let until = *self.timeless_until.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if self.clock.monotonic() < until => NO_TIME,
            _ => handed_over_at.timestamp_millis(),
        }
    }

    /// Kafka has taken a record with this time.
    pub fn taken(&self, time: i64) {
        let mut until = self.timeless_until.lock().unwrap_or_else(PoisonError::into_inner);
        // What was under way before the refusal says nothing.
        if until.is_some_and(|until| self.clock.monotonic() >= until) && time != NO_TIME {
            *until = None;
            self.troubles.over(&About::Clock);
        }
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
            "{cause} (message.timestamp.after.max.ms and before.max.ms; an hour ahead in Kafka 4): records are published \
             without a time, which delays only the search for what Kafka has lost; set the clocks right"
        )
    }
}
