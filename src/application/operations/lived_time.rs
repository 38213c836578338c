use std::time::Duration;

use chrono::TimeDelta;

use crate::application::ports::{Clock, RepositoryError, Storage};
use crate::domain::Timestamp;

/// The time as it counts for deleting. One reading of the wall clock proves nothing: a clock that is ahead by months would
/// delete a whole history. So no more time has passed than the database is known to have lived through, and what the
/// monotonic clock has added since.
#[derive(Default)]
pub struct LivedTime {
    /// The monotonic clock, and the time that counted, when this was asked last.
    last: Option<(Duration, Timestamp)>,
    is_said: bool,
    /// Another one says it.
    is_silent: bool,
}

/// How many times as fast as time passes what was not seen to pass is made up for. A computer that runs for some hours a day
/// keeps up; a clock that is wrong for an hour costs hours of history, not months.
const CATCHING_UP: u32 = 4;

/// More than a restart takes.
const WORTH_SAYING: TimeDelta = TimeDelta::days(1);

impl LivedTime {
    /// Of one that is asked beside another, which says what is wrong with the clock.
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::default() }
    }

    /// The time that counts now: the wall clock's, or an earlier one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(&mut self, storage: &dyn Storage, clock: &dyn Clock) -> Result<Timestamp, RepositoryError> {
        let last = match self.last {
            Some(last) => Some(last),
            None => storage.lived_until().await?.map(|lived| (clock.monotonic(), lived)),
        };
        let (monotonic, now) = (clock.monotonic(), clock.now());
        let Some((then, lived)) = last else { return Ok(now) };
        let passed = monotonic.saturating_sub(then).saturating_mul(CATCHING_UP);
        let passed = TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX);
        // A clock that is behind takes nothing back.
        let lived = lived.checked_add_signed(passed).map_or(now, |reached| reached.min(now)).max(lived);
        self.last = Some((monotonic, lived));
        if !self.is_silent {
            self.say(now - lived, lived);
        }
        Ok(now.min(lived))
    }

    fn say(&mut self, ahead: TimeDelta, lived: Timestamp) {
        let is_ahead = ahead > WORTH_SAYING;
        match (self.is_said, is_ahead) {
            (false, true) => tracing::warn!(
                hours = ahead.num_hours(),
                counted = %lived.format("%FT%TZ"),
                "the clock of this machine is ahead of what the database has lived through: the database was not used for so \
                 long, or the clock is wrong. Messages and idempotency keys are deleted as if it were the time in `counted`, \
                 which catches up four times as fast as time passes"
            ),
            (true, false) => {
                tracing::info!("messages and idempotency keys are deleted by the clock of this machine again")
            }
            _ => {}
        }
        self.is_said = is_ahead;
    }
}
