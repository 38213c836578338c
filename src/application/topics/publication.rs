use std::pin::pin;

use futures::future::{Either, select};

use super::confirmations::{Ended, Waiting};
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::domain::topic::RecordPosition;

/// A record that is stored, and on its way. Whoever drops this only does not hear of it.
pub struct Publication {
    /// Its message.
    pub message_id: MessageId,
    pub(super) waiting: Waiting,
}

/// What a caller that has waited for its record is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// All in-sync replicas have it.
    Confirmed(RecordPosition),
    /// It is kept, and will be published. `reason`: why its last try did not succeed, if it was answered.
    Unconfirmed { reason: Option<String> },
    /// It is a dead letter.
    Failed { reason: String, refusal: Option<RefusedFor> },
}

/// Why Kafka will never take a record. None of these: its tries are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedFor {
    /// It is larger than its topic takes.
    Size,
    /// What it is, or where it is to go.
    Content,
}

impl RefusedFor {
    /// As the channel notes it in the message.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Size => 413,
            Self::Content => 422,
        }
    }

    fn of_http_status(status: u16) -> Option<Self> {
        [Self::Size, Self::Content].into_iter().find(|refused| refused.http_status() == status)
    }
}

impl Confirmation {
    /// As the message's row says.
    pub(super) fn of(message: &Message) -> Self {
        if message.status.is_open() {
            return Self::Unconfirmed { reason: message.error.clone() };
        }
        of_ended(Ended {
            status: message.status,
            channel_message_id: message.channel_message_id.clone(),
            error: message.error.clone(),
            http_status: message.attempt_http_status,
        })
    }
}

impl Publication {
    /// Waits for Kafka's answer for as long as `patience` does.
    pub async fn confirmation(mut self, patience: impl Future<Output = ()>) -> Confirmation {
        let ended = match select(pin!(self.waiting.ended()), pin!(patience)).await {
            Either::Left((ended, _)) => Some(ended),
            Either::Right(((), _)) => None,
        };
        match ended {
            Some(ended) => of_ended(ended),
            None => {
                let so_far = self.waiting.so_far();
                let position = so_far.channel_message_id.and_then(|name| name.parse().ok());
                position.map_or(Confirmation::Unconfirmed { reason: so_far.error }, Confirmation::Confirmed)
            }
        }
    }
}

fn of_ended(ended: Ended) -> Confirmation {
    let position = ended.channel_message_id.and_then(|name| name.parse().ok());
    match position {
        Some(position) if ended.status != MessageStatus::Failed => Confirmation::Confirmed(position),
        _ => Confirmation::Failed {
            reason: ended.error.unwrap_or_else(|| format!("The message is {}.", ended.status)),
            refusal: ended.http_status.and_then(RefusedFor::of_http_status),
        },
    }
}
