use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::admission::Wait;
use super::deliver_message::{ClaimResult, DeliverMessage};
use super::pacing::Pacing;
use crate::application::ports::{Clock, MessageRepository, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::message::MessageId;
use crate::domain::message::deferral::{Deferral, Deferred};

/// Puts off a queued message whose instance may not be called now: no try is spent, and the relay brings it back.
#[derive(Clone)]
pub struct PutOffMessage {
    pub messages: Arc<dyn MessageRepository>,
    pub deliver: Arc<DeliverMessage>,
    pub clock: Arc<dyn Clock>,
    pub pacing: Pacing,
}

/// For one that has to be claimed to be put off.
const LONG_PAUSE: Duration = Duration::from_secs(600);

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOff {
    Until(Timestamp),
    /// It is claimed, waits for its time, has ended, or does not exist.
    NotWaiting,
    /// This process holds the message.
    Held,
}

impl PutOffMessage {
    /// Not to an earlier time than `not_before`.
    ///
    /// # Errors
    /// When the database did not answer: it may be put off or not, and is to be put off again.
    pub async fn execute(
        &self,
        id: MessageId,
        wait: &Wait,
        not_before: Option<Timestamp>,
    ) -> Result<PutOff, RepositoryError> {
        let reason = wait.reason.clone().into_owned();
        let is_undeliverable = wait.is_undeliverable;
        let wait = &match wait.ticket {
            Some(ticket) => Wait { pause: Some(self.pacing.pause(ticket).await?), ..wait.clone() },
            None => wait.clone(),
        };
        let deferral = Deferral {
            id,
            pause: wait.pause,
            is_paced: wait.ticket.is_some(),
            not_before,
            reason,
            is_undeliverable,
            now: self.clock.now(),
        };
        match self.messages.defer(&deferral).await? {
            Deferred::Until(time) => {
                debug!(message.id = %id, until = %time, reason = %wait.reason, "put off");
                Ok(PutOff::Until(time))
            }
            Deferred::Nothing => Ok(PutOff::NotWaiting),
            Deferred::TooOften => match self.deliver.claim_and_put_off(id, &self.long(wait, not_before)).await? {
                ClaimResult::Delivered(message) => {
                    Ok(message.next_attempt_at.map_or(PutOff::NotWaiting, PutOff::Until))
                }
                ClaimResult::Nothing => Ok(PutOff::NotWaiting),
                ClaimResult::Held => Ok(PutOff::Held),
            },
        }
    }

    /// Each costs a claim and an outcome, so there are few.
    fn long(&self, wait: &Wait, not_before: Option<Timestamp>) -> Wait {
        let until = not_before.and_then(|time| (time - self.clock.now()).to_std().ok()).unwrap_or_default();
        Wait { pause: wait.pause.map(|pause| pause.max(until).max(LONG_PAUSE)), ..wait.clone() }
    }
}
