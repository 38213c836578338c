//! One try at delivering a message.

use super::Timestamp;
use super::delivery::DeliveryErrorKind;
use super::message::{Message, MessageStatus};

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    Sent,
    Transient,
    Permanent,
    /// The channel's answer was lost, or the process died before it could record it.
    Unknown,
}

impl AttemptOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Sent => "sent",
            AttemptOutcome::Transient => "transient",
            AttemptOutcome::Permanent => "permanent",
            AttemptOutcome::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sent, Self::Transient, Self::Permanent, Self::Unknown].into_iter().find(|it| it.as_str() == text)
    }
}

impl From<DeliveryErrorKind> for AttemptOutcome {
    fn from(kind: DeliveryErrorKind) -> Self {
        match kind {
            DeliveryErrorKind::Transient { .. } => AttemptOutcome::Transient,
            DeliveryErrorKind::Unknown => AttemptOutcome::Unknown,
            DeliveryErrorKind::Permanent { .. } => AttemptOutcome::Permanent,
        }
    }
}

/// One try, as told to people; a row in `messaging_message_attempts` unless it was a first try that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The message's `try`: counts from 1 and goes on counting after a replay.
    pub number: u32,
    pub started_at: Option<Timestamp>,
    /// None while it runs, and when nobody knows.
    pub finished_at: Option<Timestamp>,
    /// None while it runs.
    pub outcome: Option<AttemptOutcome>,
    pub error: Option<String>,
    pub http_status: Option<u16>,
}

/// Every try of `message`, whether or not it has a row of its own: `recorded` are those that have one.
///
/// A try without a row is the running one, a first one that succeeded, or one whose process died.
pub fn every_attempt(message: &Message, recorded: Vec<Attempt>) -> Vec<Attempt> {
    let mut recorded = recorded.into_iter().peekable();
    let mut attempts = Vec::new();
    for number in 1..=message.try_number {
        while recorded.next_if(|attempt| attempt.number < number).is_some() {}
        let attempt = recorded.next_if(|attempt| attempt.number == number);
        attempts.push(attempt.unwrap_or_else(|| untold(message, number)));
    }
    attempts
}

fn untold(message: &Message, number: u32) -> Attempt {
    let last = number == message.try_number;
    let running = last && matches!(message.status, MessageStatus::Pending | MessageStatus::Processing);
    let succeeded = last && message.sent_at.is_some();
    let outcome = match (running, succeeded) {
        (true, _) => None,
        (_, true) => Some(AttemptOutcome::Sent),
        _ => Some(AttemptOutcome::Unknown),
    };
    Attempt {
        number,
        started_at: message.attempt_started_at.filter(|_| last),
        finished_at: message.sent_at.filter(|_| succeeded),
        outcome,
        error: None,
        http_status: message.attempt_http_status.filter(|_| succeeded),
    }
}
