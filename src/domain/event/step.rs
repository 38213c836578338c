use super::EventStatus;
use crate::domain::Timestamp;

/// What is done with an event after it was stored. Each is tried again for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The subscriptions make messages of it.
    Route,
    /// It is published to its source's topic.
    Publish,
    /// It is written to tables.
    Tables,
}

impl Step {
    pub const ALL: [Step; 3] = [Step::Route, Step::Publish, Step::Tables];

    pub fn as_str(self) -> &'static str {
        match self {
            Step::Route => "route",
            Step::Publish => "publish",
            Step::Tables => "tables",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }
}

/// How a try of a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    Done {
        reason: Option<String>,
    },
    /// It is tried again at this time. Not a failure when it only waits for something.
    Again {
        at: Timestamp,
        reason: String,
        has_failed: bool,
    },
    /// It could not be tried, because what it needs does not answer: whatever it is to do is still to be done.
    PutOff {
        at: Timestamp,
        reason: String,
    },
    /// It failed for good, and waits for a person.
    Dead {
        reason: String,
    },
}

/// What an event has left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    pub open: u32,
    pub dead: u32,
}

impl StepResult {
    /// The event's status after this result, when `remaining` is left of all its steps.
    pub fn leaves(&self, remaining: Remaining) -> EventStatus {
        match self {
            StepResult::Again { has_failed: true, .. } => EventStatus::Failed,
            _ if remaining.open > 0 => EventStatus::Processing,
            _ if remaining.dead > 0 => EventStatus::DeadLetter,
            _ => EventStatus::Processed,
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            StepResult::Done { reason } => reason.as_deref(),
            StepResult::Again { reason, .. } | StepResult::PutOff { reason, .. } | StepResult::Dead { reason } => {
                Some(reason)
            }
        }
    }

    /// When it is due again.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            StepResult::Again { at, .. } | StepResult::PutOff { at, .. } => Some(*at),
            StepResult::Done { .. } | StepResult::Dead { .. } => None,
        }
    }

    /// Whether it only waits: told in the history when it begins to, and not each time that it still does.
    pub fn waits(&self) -> bool {
        matches!(self, StepResult::Again { has_failed: false, .. } | StepResult::PutOff { .. })
    }

    pub fn has_failed(&self) -> bool {
        matches!(self, StepResult::Again { has_failed: true, .. } | StepResult::Dead { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_processed_once_every_step_is_done() {
        let done = StepResult::Done { reason: None };
        assert_eq!(done.leaves(Remaining { open: 1, dead: 0 }), EventStatus::Processing);
        assert_eq!(done.leaves(Remaining { open: 0, dead: 1 }), EventStatus::DeadLetter);
        assert_eq!(done.leaves(Remaining::default()), EventStatus::Processed);
    }

    #[test]
    fn a_step_that_waits_has_not_failed() {
        let at = Timestamp::UNIX_EPOCH;
        let again = |has_failed| StepResult::Again { at, reason: "away".to_owned(), has_failed };
        assert_eq!(again(true).leaves(Remaining { open: 1, dead: 0 }), EventStatus::Failed);
        assert_eq!(again(false).leaves(Remaining { open: 1, dead: 0 }), EventStatus::Processing);
    }
}
