use std::sync::Arc;

use tracing::{debug, error, info, warn};

use crate::application::node::held_messages::HeldMessages;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::Tally;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{
    Channels, Claimed, Clock, CredentialsCipher, Delivery, InstanceRepository, MessageRepository, Outcome, Randomness,
    RepositoryError,
};
use crate::domain::instance::{Destination, Instance};
use crate::domain::message::dead_letter::DeadLetterPolicy;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::message::retry::{NextStep, RetryPolicy};
use crate::domain::message::{Guard, Message, MessageId, MessageStatus};
use crate::domain::text::storable;

/// Delivers messages: claim, call the channel, record.
pub struct DeliverMessage {
    pub messages: Arc<dyn MessageRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    pub policy: RetryPolicy,
    pub dead_letters: DeadLetterPolicy,
    pub tally: Tally,
}

/// What became of a claim.
#[derive(Clone, Debug)]
pub enum ClaimResult {
    /// A try has ended: the message as it is now.
    Delivered(Box<Message>),
    /// The message is claimed already, has ended, its time has not come, or it does not exist.
    Nothing,
    /// This process holds the message: whether there is something to claim is known only afterwards.
    Held,
}

/// A try whose process died is repeated. After this many beyond the message's own limit, the message is taken to be
/// what kills its processes, and fails.
const UNENDED_TRIES: u32 = 10;

impl DeliverMessage {
    /// The one try of a `pending` message, whose caller waits and holds it: any failure is `failed`. Returns the
    /// message as it is afterwards, also when another process brought it there.
    pub async fn deliver_pending(&self, message: Message) -> Message {
        let found = until_answered(self.clock.as_ref(), || self.instances.find_any(message.instance_id)).await;
        let destination = found.map(|instance| instance.map(Instance::destination));
        self.deliver(Claimed { message, destination }, &|| ()).await
    }

    /// Claims a `queued` message and delivers it. `called` is invoked when the call of the channel is over, and only
    /// the database is still to be waited for.
    ///
    /// # Errors
    /// When the claim was not answered. The message is not held then: if it was claimed all the same, the comparison
    /// gives it back.
    pub async fn claim_and_deliver(
        &self,
        id: MessageId,
        called: &(dyn Fn() + Send + Sync),
    ) -> Result<ClaimResult, RepositoryError> {
        let Some(_hold) = self.held.hold(id) else { return Ok(ClaimResult::Held) };
        let node = self.identity.current_or_wait().await?;
        match self.messages.claim(id, node, self.clock.now()).await? {
            Some(claimed) => Ok(ClaimResult::Delivered(Box::new(self.deliver(claimed, called).await))),
            None => Ok(ClaimResult::Nothing),
        }
    }

    async fn deliver(&self, claimed: Claimed, called: &(dyn Fn() + Send + Sync)) -> Message {
        let Claimed { message, destination } = claimed;
        let guard = message.guard();
        let prepared = self.prepare(&message, destination);
        // Last before the call: what came before may have taken longer than other nodes wait (`NODE_TIMEOUT`).
        if !self.identity.is_certain(guard.node) && !self.still_holds(&guard).await {
            warn!(message.id = %message.id, "taken over before it could be delivered");
            return self.as_it_is(message).await;
        }
        debug!(message.id = %message.id, try_number = message.tries, "delivering");
        let started_at = message.attempt_started_at.unwrap_or_else(|| self.clock.now());
        let verdict = match prepared {
            Ok(delivery) => self.call(&message, delivery).await,
            Err(error) => Err(error),
        };
        called();
        let finished_at = self.clock.now();
        // The caller of a pending message decides itself what to do after its one try.
        let max_tries = if message.status == MessageStatus::Pending { message.tries } else { message.max_tries };
        let next = self.policy.after(verdict, message.tries, max_tries, finished_at, self.randomness.chance());
        let dead_lettered_at = match next {
            NextStep::Failed { .. } => self.dead_letters.dead_lettered_at(finished_at),
            _ => None,
        };
        self.record(message, Outcome { guard, next, started_at, finished_at, dead_lettered_at }).await
    }

    async fn call(&self, message: &Message, delivery: Delivery) -> Result<Acceptance, DeliveryError> {
        match self.channels.find(&message.channel) {
            Some(sender) => sender.send(&delivery).await,
            None => Err(no_such_channel(message)),
        }
    }

    /// Gathers what the channel needs.
    fn prepare(
        &self,
        message: &Message,
        destination: Result<Option<Destination>, RepositoryError>,
    ) -> Result<Delivery, DeliveryError> {
        if let Some(flaw) = &message.flaw {
            return Err(DeliveryError::misconfigured(format!("Its row cannot be read: {flaw}.")));
        }
        if message.tries > message.max_tries.saturating_add(UNENDED_TRIES) {
            let reason = format!("Its delivery was begun {} times, and its process died each time.", message.tries - 1);
            return Err(DeliveryError::misconfigured(reason));
        }
        let Destination { address, credentials } = match destination {
            Ok(Some(destination)) => destination,
            Ok(None) => return Err(DeliveryError::misconfigured("The instance was deleted.")),
            Err(cause) => {
                error!(message.id = %message.id, %cause, "the instance cannot be read");
                return Err(DeliveryError::misconfigured("The instance's row cannot be read."));
            }
        };
        let credentials = self.cipher.open(message.instance_id, &credentials).map_err(|cause| {
            error!(instance.id = %message.instance_id, %cause, "the credentials cannot be opened");
            DeliveryError::misconfigured("The instance's credentials cannot be decrypted with CREDENTIALS_KEY.")
        })?;
        Ok(Delivery {
            message_id: message.id,
            channel_instance_id: message.channel_instance_id.clone(),
            address,
            credentials,
            recipient: message.recipient.clone(),
            content: message.content.clone(),
            created_at: message.created_at,
        })
    }

    async fn still_holds(&self, guard: &Guard) -> bool {
        let answer = until_answered(self.clock.as_ref(), || self.messages.still_holds(guard)).await;
        answer.unwrap_or_else(|cause| {
            error!(message.id = %guard.id, %cause, "the message cannot be read");
            false
        })
    }

    /// Writes the outcome until it has landed: without it the message would be delivered a second time.
    async fn record(&self, message: Message, outcome: Outcome) -> Message {
        let recorded = loop {
            match until_answered(self.clock.as_ref(), || self.messages.record(&outcome)).await {
                Ok(recorded) => break recorded,
                Err(cause) => {
                    error!(message.id = %message.id, %cause, "the outcome cannot be recorded; tried again");
                    self.clock.sleep(std::time::Duration::from_secs(2)).await;
                }
            }
        };
        if !recorded {
            warn!(message.id = %message.id, "its outcome came too late: someone else has taken it over");
            return self.as_it_is(message).await;
        }
        self.count(&message, &outcome);
        let mut ended = message;
        if let Err(forbidden) = ended.end(outcome.ending()) {
            error!(message.id = %ended.id, %forbidden, "its outcome is recorded all the same");
            return self.as_it_is(ended).await;
        }
        ended
    }

    /// The message as its row says; as we know it, if the row is gone or cannot be read.
    async fn as_it_is(&self, message: Message) -> Message {
        match until_answered(self.clock.as_ref(), || self.messages.find(message.id)).await {
            Ok(Some(message)) => message,
            Ok(None) => message,
            Err(cause) => {
                error!(message.id = %message.id, %cause, "the message cannot be read");
                message
            }
        }
    }

    fn count(&self, message: &Message, outcome: &Outcome) {
        match &outcome.next {
            NextStep::Sent(_) => {
                self.tally.sent();
                debug!(message.id = %message.id, "sent");
            }
            NextStep::Failed { error, .. } => {
                self.tally.failed();
                if outcome.dead_lettered_at.is_some() {
                    self.tally.dead_lettered();
                }
                warn!(message.id = %message.id, tries = message.tries, %error, "failed");
            }
            NextStep::Retry { at, error } => {
                self.tally.retried();
                info!(message.id = %message.id, tries = message.tries, next_attempt_at = %at, %error, "will be tried again");
            }
        }
    }
}

fn no_such_channel(message: &Message) -> DeliveryError {
    let name = storable(message.channel.as_str(), 255);
    DeliveryError::misconfigured(format!("This installation has no channel {name}."))
}
