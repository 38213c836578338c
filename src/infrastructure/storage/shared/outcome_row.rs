//! How a try ended, as columns.

use super::bounds::UNSTORABLE;
use crate::application::ports::Outcome;
use crate::domain::Timestamp;
use crate::domain::message::MessageStatus;
use crate::domain::message::attempt::AttemptOutcome;
use crate::domain::message::delivery::{DeliveryError, FailureKind};
use crate::domain::message::retry::NextStep;

/// The columns that the end of a try writes, in the message and in its attempt.
#[derive(Clone, Debug)]
pub struct OutcomeRow {
    pub status: MessageStatus,
    pub attempt: AttemptOutcome,
    pub channel_message_id: Option<String>,
    pub error: Option<String>,
    pub failure: Option<FailureKind>,
    pub http_status: Option<u16>,
    pub next_attempt_at: Option<Timestamp>,
    pub dead_lettered_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    /// Whether the attempt has a row of its own: a first one that succeeded is told by the message's.
    pub has_row: bool,
}

impl OutcomeRow {
    pub fn of(outcome: &Outcome) -> Self {
        match &outcome.next {
            NextStep::Sent(acceptance) => Self {
                status: MessageStatus::Sent,
                attempt: AttemptOutcome::Sent,
                channel_message_id: acceptance.channel_message_id.clone(),
                error: None,
                failure: None,
                http_status: acceptance.http_status,
                next_attempt_at: None,
                dead_lettered_at: None,
                sent_at: Some(outcome.finished_at),
                has_row: outcome.guard.try_number != 1,
            },
            NextStep::Failed { failure, error } => Self {
                failure: Some(*failure),
                dead_lettered_at: outcome.dead_lettered_at,
                ..Self::unsuccessful(MessageStatus::Failed, error)
            },
            NextStep::Retry { at, error } => {
                Self { next_attempt_at: Some(*at), ..Self::unsuccessful(MessageStatus::Queued, error) }
            }
        }
    }

    fn unsuccessful(status: MessageStatus, error: &DeliveryError) -> Self {
        Self {
            status,
            attempt: error.kind.into(),
            channel_message_id: None,
            error: Some(error.reason.clone()),
            failure: None,
            http_status: error.http_status,
            next_attempt_at: None,
            dead_lettered_at: None,
            sent_at: None,
            has_row: true,
        }
    }

    /// The same outcome without the channel's words.
    pub fn without_texts(self) -> Self {
        let replaced = |text: Option<String>| text.map(|_| UNSTORABLE.to_owned());
        Self { channel_message_id: replaced(self.channel_message_id), error: replaced(self.error), ..self }
    }
}
