use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{Either, select};
use tracing::{error, info};

use super::at_work::AtWork;
use super::step_work::{Ended, StepWork};
use crate::application::Stop;
use crate::application::events::bells::Bells;
use crate::application::hindrances::Hindrances;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{Clock, DueStep, EventSteps, FinishedStep, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Step, StepResult};

/// Pause between two looks; a bell ends it.
const INTERVAL: Duration = Duration::from_secs(1);

/// Steps taken at once.
const TOGETHER: u32 = 256;

/// Takes that are at work at the same time, each of other tenants.
const TAKES: usize = 4;

/// Pause between two looks for steps of other tenants, while some are at work; a bell ends it.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// No step waits for longer than this: not for its next try, and not for a process that has died.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// Pause between two looks for steps that wait for longer.
const BETWEEN_CALLS: Duration = Duration::from_secs(30);

/// So often in a row a try may come to no result: then the step is the reason why its processes die.
const MOST_LOST: u32 = 5;

/// After which steps that were found to wait, and were not found again, wait no more: longer than they do between two tries.
const STILL: Duration = Duration::from_secs(30);

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
        let work = self.work.clone();
        let mut at_work = AtWork::default();
        let mut was_alone: Option<Tenant> = None;
        let mut taken = Ok(());
        while stop.clone().now_or_never().is_none() && work.is_possible() {
            if at_work.takes() >= TAKES {
                self.wait(&mut at_work).await?;
                continue;
            }
            let others = at_work.tenants().chain(&was_alone).cloned().collect::<Vec<_>>();
            let due = match self.steps.take(work.step(), TOGETHER, work.lease(), self.clock.now(), &others).await {
                Ok(due) => due,
                Err(error) => {
                    taken = Err(error);
                    break;
                }
            };
            // A tenant whose steps are taken alone lets the others have their turns in between.
            let was_tried = was_alone.take().is_some();
            if !due.is_empty() {
                let is_alone = due.iter().find(|due| due.lost > 0).map(|due| due.event.tenant.clone());
                if is_alone.is_some() {
                    self.end(&mut at_work).await?;
                }
                self.begin(work.as_ref(), due, &mut at_work).await?;
                match is_alone {
                    Some(_) => self.end(&mut at_work).await?,
                    None => self.wait(&mut at_work).await?,
                }
                was_alone = is_alone;
            } else if !at_work.is_empty() {
                self.wait(&mut at_work).await?;
            } else if !was_tried {
                break;
            }
        }
        // What was begun comes to its end.
        self.end(&mut at_work).await?;
        taken
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

    async fn begin<'w>(
        &self,
        work: &'w dyn StepWork,
        due: Vec<DueStep>,
        at_work: &mut AtWork<'w>,
    ) -> Result<(), RepositoryError> {
        let (lost, due): (Vec<DueStep>, Vec<DueStep>) = due.into_iter().partition(|due| due.lost >= MOST_LOST);
        if !due.is_empty() {
            at_work.begin(due.iter().map(|due| due.event.tenant.clone()).collect(), work.work(due));
        }
        let given_up: Vec<FinishedStep> = lost.iter().map(given_up).collect();
        if given_up.is_empty() { Ok(()) } else { self.finish(&given_up).await }
    }

    /// Until something has ended, or may be there.
    async fn wait(&mut self, at_work: &mut AtWork<'_>) -> Result<(), RepositoryError> {
        if at_work.is_empty() {
            return Ok(());
        }
        let look = select(self.bells.rung(self.work.step()).boxed(), self.clock.sleep(LOOKS_EVERY));
        let ended = match select(at_work.next(self.work.as_ref()).boxed(), look).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => None,
        };
        match ended {
            Some((ended, hindrance)) => self.record(ended, hindrance).await,
            None => Ok(()),
        }
    }

    /// Until all of it has ended.
    async fn end(&mut self, at_work: &mut AtWork<'_>) -> Result<(), RepositoryError> {
        while let Some((ended, hindrance)) = at_work.next(self.work.as_ref()).await {
            self.record(ended, hindrance).await?;
        }
        Ok(())
    }

    async fn record(&mut self, ended: Ended, hindrance: Option<String>) -> Result<(), RepositoryError> {
        self.waiting = hindrance.map(|reason| (self.clock.monotonic(), reason)).or(self.waiting.take());
        let now = self.clock.now();
        let finished = ended.into_iter().map(|(due, result)| due.ended(result.after(due.failures, now)));
        self.finish(&finished.collect::<Vec<_>>()).await
    }

    async fn finish(&self, finished: &[FinishedStep]) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        until_answered(self.clock.as_ref(), || self.try_to_finish(finished, now)).await
    }

    /// A round may wait for this for as long as it takes.
    async fn try_to_finish(&self, finished: &[FinishedStep], now: Timestamp) -> Result<(), RepositoryError> {
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
