use std::time::Duration;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::event::{Event, EventId, EventStatus, Step, StepResult};

/// What is left to do with events: a row a step, as long as it is open or dead.
///
/// `tests/contracts/events/event_steps.rs` proves what is promised here.
#[async_trait]
pub trait EventSteps: Send + Sync {
    /// Takes steps of this kind that are due at `now`, the longest due first and in the order of their events; at most `limit`,
    /// and no more than fit into [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE). Each is taken by one caller, and
    /// due again after `lease`, should no result come: then it is taken alone, since it may be the reason. Its event is
    /// `processing` from then on.
    async fn take(
        &self,
        step: Step,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueStep>, RepositoryError>;

    /// Makes steps of this kind due at `now` whose time is later than `later_than`: no wait is as long, so a clock was ahead that set
    /// it. Returns how many were.
    async fn call_in(&self, step: Step, later_than: Timestamp, now: Timestamp) -> Result<u64, RepositoryError>;

    /// Records how tries ended, with a line of history each, and what their events are after them; of one that waits as before,
    /// with the same reason, only when it is due again. Returns, for each, the event's status; none for a try that came too
    /// late: another one was begun since.
    async fn finish(
        &self,
        finished: &[FinishedStep],
        now: Timestamp,
    ) -> Result<Vec<Option<EventStatus>>, RepositoryError>;
}

/// A step that this caller has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueStep {
    pub event: Event,
    pub step: Step,
    /// Which try this is, from 1 on.
    pub tries: u32,
    /// How many of those before it failed, since a person has retried it.
    pub failures: u32,
    /// How many of those just before it came to no result: their processes have died, or were too slow.
    pub lost: u32,
    /// A person retries it, and no try has come to its end since.
    pub resend: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedStep {
    pub event: EventId,
    pub step: Step,
    /// The try that ended.
    pub tries: u32,
    pub result: StepResult,
}

impl DueStep {
    pub fn ended(&self, result: StepResult) -> FinishedStep {
        FinishedStep { event: self.event.id, step: self.step, tries: self.tries, result }
    }
}
