//! The time by which a history is old, and how it is deleted.

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::select;

use super::lived_time::LivedTime;
use crate::application::Stop;
use crate::application::ports::{Clock, RepositoryError, Storage};
use crate::domain::Timestamp;

/// What counts for deleting: no reading of the wall clock alone.
#[derive(Default)]
pub struct HistoryTime {
    lived: LivedTime,
    believed: BelievedTime,
}

#[derive(Clone, Copy, Debug)]
pub struct HistoryNow {
    /// As far as the database is known to have lived.
    pub lived: Timestamp,
    /// And as far as the wall clock is believed: what is old by this may go.
    pub believed: Timestamp,
}

impl HistoryTime {
    /// Of one that is asked beside another, which says what is wrong with the clock.
    pub fn silent() -> Self {
        Self { lived: LivedTime::silent(), believed: BelievedTime::default() }
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn now(&mut self, storage: &dyn Storage, clock: &dyn Clock) -> Result<HistoryNow, RepositoryError> {
        let lived = self.lived.now(storage, clock).await?;
        let believed = self.believed.at(clock.now(), clock.monotonic()).min(lived);
        Ok(HistoryNow { lived, believed })
    }
}

/// Longest pause between two parts of what is deleted.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Between two parts of what is deleted one rests for as long as one worked, and so leaves at least half of the time of the
/// only writer to others. Returns when the next part begins.
pub async fn rest_since(began: Duration, clock: &dyn Clock, stop: &Stop) -> Duration {
    let took = clock.monotonic().saturating_sub(began);
    select(stop.clone(), clock.sleep(took.min(LONGEST_REST))).await;
    clock.monotonic()
}

/// The time by which things are old. A wall clock that is set ahead would make everything look old at once: what it says is
/// believed when it has said so for [`Self::DOUBTED`], in which its operator sees the warning. The start is believed.
#[derive(Default)]
struct BelievedTime {
    /// What was believed last, and when by the monotonic clock.
    last: Option<(Timestamp, Duration)>,
    ahead_since: Option<Duration>,
}

impl BelievedTime {
    const DOUBTED: Duration = Duration::from_secs(24 * 60 * 60);

    /// What clocks drift apart by between two rounds, and are set by, day by day.
    const TOLERATED: TimeDelta = TimeDelta::seconds(10);

    fn at(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let expected = self.last.map(|(time, at)| time + monotonic.saturating_sub(at));
        let believed = match expected.filter(|expected| wall > *expected + Self::TOLERATED) {
            Some(expected) if monotonic.saturating_sub(*self.ahead_since.get_or_insert(monotonic)) < Self::DOUBTED => {
                expected
            }
            _ => {
                self.ahead_since = None;
                wall
            }
        };
        self.last = Some((believed, monotonic));
        believed
    }
}
