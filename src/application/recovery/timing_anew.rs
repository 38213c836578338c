//! What waits goes along with a clock that is set: see `docs/adr/0007-a-wait-goes-along-with-a-clock-that-is-set.md`.

use std::time::Duration;

use chrono::TimeDelta;
use tracing::warn;

use crate::application::node::clock_watch::{ClockStep, ClockWatch};
use crate::application::ports::{Clock, DueMessages, Position, RepositoryError, Retiming};
use crate::domain::node::NodeId;

/// What a relay remembers of its clock from one look to the next.
pub struct TimingAnew {
    watch: ClockWatch,
    /// The clock was set, and what waits is not timed anew yet, or may not be.
    set: Option<Set>,
    /// What an earlier process, or this one, left for a time that a clock ahead held for now has to be called in.
    calls_in: bool,
}

struct Set {
    step: ClockStep,
    noticed_at: Duration,
    /// How far what waits was looked through.
    after: Position,
    /// How often all of it was, and how often it will have been when the pass under way is over.
    passes: usize,
    passing: usize,
}

/// How many messages that wait are looked at in one go, and for how long in one round: the nodes are watched, too.
const REACH: u32 = 2_000;
const LONGEST: Duration = Duration::from_secs(1);

/// How many are called in.
const CALLED_IN_AT_ONCE: u32 = 1_000;

/// What a row says that was written before the clock was set back is ahead by more than this.
const NOT_AHEAD: TimeDelta = TimeDelta::seconds(10);

/// A statement that was on its way when the clock was set has landed by then, most of them and all: all that waits is looked
/// through again each time.
const LANDED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

impl Default for TimingAnew {
    fn default() -> Self {
        Self { watch: ClockWatch::default(), set: None, calls_in: true }
    }
}

impl Set {
    fn of(step: ClockStep, noticed_at: Duration) -> Self {
        Self { step, noticed_at, after: Position::default(), passes: 0, passing: 0 }
    }

    /// Whether all that waits was looked through since the clock was set.
    fn is_done(&self) -> bool {
        self.passes > 0
    }

    /// Begins a pass, if one is wanted and none is under way.
    fn has_a_pass(&mut self, now: Duration) -> bool {
        if self.passing == self.passes {
            let passed = now.saturating_sub(self.noticed_at);
            self.passing = 1 + LANDED.iter().filter(|landed| passed >= **landed).count();
        }
        self.passing > self.passes
    }

    /// The time is by the clock as it was set then, also if it was set again just now: what is written with it goes along with
    /// that step, too.
    fn retiming(&self, process: NodeId, clock: &dyn Clock) -> Retiming {
        let now = self.step.now + clock.monotonic().saturating_sub(self.noticed_at);
        let (since, until) = (self.step.since(), now + NOT_AHEAD);
        Retiming { process, by: self.step.by, since, until, after: self.after.clone(), reach: REACH, now }
    }
}

impl TimingAnew {
    pub fn look_at(&mut self, clock: &dyn Clock) {
        let Some(step) = self.watch.look(clock) else { return };
        let by = step.by.as_seconds_f64();
        warn!(by_seconds = by, "the clock of this machine was set; what this process waits for is timed anew");
        // What went along with an earlier step has only this one to go.
        let earlier = self.set.as_ref().filter(|set| !set.is_done()).map_or(TimeDelta::zero(), |set| set.step.by);
        let step = ClockStep { by: step.by + earlier, ..step };
        self.set = Some(Set::of(step, clock.monotonic()));
        self.calls_in = true;
    }

    /// Some thousands at a time, until all were looked at; and all again, when what was on its way has landed.
    ///
    /// # Errors
    /// When the database does not answer: the next round goes on.
    pub async fn retime(
        &mut self,
        due: &dyn DueMessages,
        process: Option<NodeId>,
        clock: &dyn Clock,
    ) -> Result<(), RepositoryError> {
        let (Some(set), Some(process)) = (&mut self.set, process) else { return Ok(()) };
        let began = clock.monotonic();
        if !set.has_a_pass(began) {
            return Ok(());
        }
        while clock.monotonic().saturating_sub(began) < LONGEST {
            let retiming = set.retiming(process, clock);
            let Some(next) = due.retime(&retiming).await?.next else {
                (set.after, set.passes) = (Position::default(), set.passing);
                if set.passes > LANDED.len() {
                    self.set = None;
                }
                break;
            };
            set.after = next;
        }
        Ok(())
    }

    /// What looks due may only seem to be: the clock was set ahead, and not all that waits is timed anew. What the database
    /// refuses for good keeps nothing waiting.
    pub fn waits_for_times(&self, retimed: &Result<(), RepositoryError>) -> bool {
        self.set.as_ref().is_some_and(|set| !set.is_done() && set.step.by > TimeDelta::zero())
            && retimed.as_ref().map_or_else(RepositoryError::may_pass, |()| true)
    }

    /// At a start, and after a step of the clock.
    ///
    /// # Errors
    /// When the database does not answer: the next round asks again.
    pub async fn call_in(&mut self, due: &dyn DueMessages, clock: &dyn Clock) -> Result<(), RepositoryError> {
        if self.calls_in {
            let called_in = due.call_in(clock.now(), CALLED_IN_AT_ONCE).await?;
            self.calls_in = called_in >= u64::from(CALLED_IN_AT_ONCE);
            if called_in > 0 {
                warn!(messages = called_in, "a clock that was ahead had put off what was due");
            }
        }
        Ok(())
    }
}
