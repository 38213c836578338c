use std::time::Duration;

use chrono::TimeDelta;
use futures::stream::BoxStream;

use crate::application::ports::DueStep;
use crate::domain::Timestamp;
use crate::domain::event::{LONGEST_REASON, Step, StepResult};
use crate::domain::text::storable;

/// After which a step whose process has died is due again, as a rule.
const LEASE: Duration = Duration::from_secs(60);

/// After so many failures a step has failed for good.
const WAITS: [i64; 3] = [1, 4, 16];

/// Steps that have come to an end, and how.
pub type Ended = Vec<(DueStep, WorkResult)>;

/// One kind of step.
pub trait StepWork: Send + Sync {
    fn step(&self) -> Step;

    /// What cannot be done while rounds fail: the end of a sentence that begins with "cannot".
    fn purpose(&self) -> &'static str;

    /// Whether it can be done now. While it cannot, steps wait, and no try is spent.
    fn is_possible(&self) -> bool {
        true
    }

    /// Longer than a try takes: after it, a step whose process has died is due again.
    fn lease(&self) -> Duration {
        LEASE
    }

    /// What keeps these from being done, if they only wait for it.
    fn hindrance(&self, ended: &Ended) -> Option<String> {
        ended.iter().find_map(|(_, result)| match result {
            WorkResult::Waits(_, reason) | WorkResult::PutOff(_, reason) => Some(reason.clone()),
            _ => None,
        })
    }

    /// Does it for these, and says of each how that ended, as soon as it is known.
    fn work(&self, due: Vec<DueStep>) -> BoxStream<'_, Ended>;
}

/// How a try of a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkResult {
    Done(String),
    /// Tried again after 1, 4 and 16 s, then dead.
    Failed(String),
    /// Tried again after a time, however often: it only waits for something.
    Waits(Duration, String),
    /// The same, of what could not be tried: what it needs does not answer.
    PutOff(Duration, String),
    /// Not tried again.
    Dead(String),
}

impl WorkResult {
    /// `failures`: those before it.
    pub fn after(self, failures: u32, now: Timestamp) -> StepResult {
        match self {
            Self::Done(reason) => StepResult::Done { reason: Some(kept(&reason)) },
            Self::Waits(wait, reason) => StepResult::Again { at: now + wait, reason: kept(&reason), has_failed: false },
            Self::PutOff(wait, reason) => StepResult::PutOff { at: now + wait, reason: kept(&reason) },
            Self::Dead(reason) => StepResult::Dead { reason: kept(&reason) },
            Self::Failed(reason) => match WAITS.get(failures as usize) {
                Some(wait) => {
                    StepResult::Again { at: now + TimeDelta::seconds(*wait), reason: kept(&reason), has_failed: true }
                }
                None => StepResult::Dead { reason: kept(&reason) },
            },
        }
    }
}

fn kept(reason: &str) -> String {
    storable(reason, LONGEST_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_may_fail_four_times() {
        let now = Timestamp::UNIX_EPOCH;
        let after = |failures| WorkResult::Failed("no".to_owned()).after(failures, now);
        for (failures, seconds) in [(0, 1), (1, 4), (2, 16)] {
            let at = now + TimeDelta::seconds(seconds);
            assert_eq!(after(failures), StepResult::Again { at, reason: "no".to_owned(), has_failed: true });
        }
        assert_eq!(after(3), StepResult::Dead { reason: "no".to_owned() });
        assert_eq!(after(9), StepResult::Dead { reason: "no".to_owned() });
    }
}
