use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::FutureExt;
use tracing::{error, info};

use super::bells::Bells;
use crate::application::Stop;
use crate::application::hindrances::Hindrances;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{Clock, DueStep, EventSteps, FinishedStep, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::Timestamp;
use crate::domain::event::{LONGEST_REASON, Step, StepResult};
use crate::domain::text::storable;

/// Pause between two looks; a bell ends it.
const INTERVAL: Duration = Duration::from_secs(1);

/// Steps taken at once.
const TOGETHER: u32 = 256;

/// After which a step whose process has died is due again, as a rule.
const LEASE: Duration = Duration::from_secs(60);

/// No step waits for longer than this: not for its next try, and not for a process that has died.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// Pause between two looks for steps that wait for longer.
const BETWEEN_CALLS: Duration = Duration::from_secs(30);

/// After so many failures a step has failed for good.
const WAITS: [i64; 3] = [1, 4, 16];

/// So often in a row a try may come to no result: then the step is the reason why its processes die.
const MOST_LOST: u32 = 5;

/// After which steps that were found to wait, and were not found again, wait no more: longer than they do between two tries.
const STILL: Duration = Duration::from_secs(30);

/// One kind of step.
#[async_trait]
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
    fn hindrance(&self, results: &[WorkResult]) -> Option<String> {
        results.iter().find_map(|result| match result {
            WorkResult::Waits(_, reason) | WorkResult::PutOff(_, reason) => Some(reason.clone()),
            _ => None,
        })
    }

    /// Does it for these, and says of each, in their order, how that ended.
    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult>;
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

/// Takes the steps of one kind that are due, and does them.
pub struct HandleSteps {
    work: Arc<dyn StepWork>,
    steps: Arc<dyn EventSteps>,
    clock: Arc<dyn Clock>,
    bells: Bells,
    /// When steps that a clock set too far ahead are looked for next, by the monotonic clock.
    next_call_in: Duration,
    /// What steps wait for, and when that was found last, by the monotonic clock.
    waiting: Option<(Duration, String)>,
    hindrances: Hindrances,
}

#[async_trait]
impl Repeated for HandleSteps {
    fn name(&self) -> &'static str {
        match self.work.step() {
            Step::Route => "event routing",
            Step::Publish => "event publishing",
            Step::Tables => "event tables",
        }
    }

    fn purpose(&self) -> &'static str {
        self.work.purpose()
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        self.call_in().await?;
        while stop.clone().now_or_never().is_none() && self.work.is_possible() {
            let due = self.steps.take(self.work.step(), TOGETHER, self.work.lease(), self.clock.now()).await?;
            if due.is_empty() {
                break;
            }
            let (lost, due): (Vec<DueStep>, Vec<DueStep>) = due.into_iter().partition(|due| due.lost >= MOST_LOST);
            let results = if due.is_empty() { Vec::new() } else { self.work.work(&due).await };
            if let Some(reason) = self.work.hindrance(&results) {
                self.waiting = Some((self.clock.monotonic(), reason));
            }
            let now = self.clock.now();
            let ended = due.iter().zip(results).map(|(due, result)| due.ended(result.after(due.failures, now)));
            let finished: Vec<FinishedStep> = ended.chain(lost.iter().map(given_up)).collect();
            until_answered(self.clock.as_ref(), || self.finish(&finished, now)).await?;
        }
        Ok(())
    }

    fn hindrance(&self) -> Option<String> {
        let is_still_found = |found_at: Duration| self.clock.monotonic().saturating_sub(found_at) < STILL;
        self.waiting.as_ref().filter(|(found_at, _)| is_still_found(*found_at)).map(|(_, reason)| reason.clone())
    }

    async fn is_wanted(&mut self) {
        self.bells.rung(self.work.step()).await;
    }
}

impl HandleSteps {
    pub fn new(
        work: Arc<dyn StepWork>,
        steps: Arc<dyn EventSteps>,
        clock: Arc<dyn Clock>,
        bells: Bells,
        hindrances: Hindrances,
    ) -> Self {
        Self { work, steps, clock, bells, next_call_in: Duration::ZERO, waiting: None, hindrances }
    }

    /// A round may wait for this for as long as it takes.
    async fn finish(&self, finished: &[FinishedStep], now: Timestamp) -> Result<(), RepositoryError> {
        let recorded = self.steps.finish(finished, now).await;
        if let Err(error) = &recorded {
            self.hindrances.found(self.work.purpose(), error.to_string());
        }
        recorded.map(drop)
    }

    async fn call_in(&mut self) -> Result<(), RepositoryError> {
        let monotonic = self.clock.monotonic();
        if monotonic < self.next_call_in {
            return Ok(());
        }
        let (step, now) = (self.work.step(), self.clock.now());
        let called = self.steps.call_in(step, now + LONGEST_WAIT, now).await?;
        if called > 0 {
            info!(step = step.as_str(), steps = called, "steps of events waited for a time that a clock ahead had set");
        }
        self.next_call_in = monotonic.saturating_add(BETWEEN_CALLS);
        Ok(())
    }
}

/// One that kills its process would kill each that takes it.
fn given_up(due: &DueStep) -> FinishedStep {
    let reason = format!("{} tries in a row came to no result: their processes have died, or took too long", due.lost);
    error!(event.id = %due.event.id, step = due.step.as_str(), %reason, "a step of an event is given up");
    due.ended(StepResult::Dead { reason })
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
