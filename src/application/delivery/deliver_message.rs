use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use tracing::{debug, error, info, warn};

use super::admission::{Admission, SLOT_PATIENCE, TOO_FAST, Wait};
use super::one_call::{CallTurn, OneCall};
use super::pacing::Slot;
use super::progress::Progress;
use crate::application::access::met_tenants::MetTenants;
use crate::application::messages::early_answers::EarlyAnswers;
use crate::application::node::answered_claims::AnsweredClaims;
use crate::application::node::clock_watch::ClockWatch;
use crate::application::node::held_messages::HeldMessages;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::Tally;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{
    ChannelSender, Channels, Claimed, Clock, CredentialsCipher, Delivery, InstanceRepository, MessageRepository,
    Outcome, Randomness, RepositoryError,
};
use crate::application::receipts::ReceiveReceipts;
use crate::application::topics::confirmations::Confirmations;
use crate::domain::Timestamp;
use crate::domain::instance::pace::Pace;
use crate::domain::instance::{DELETED, Destination, Instance};
use crate::domain::message::dead_letter::DeadLetterPolicy;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::message::retry::{NextStep, RetryPolicy, SoFar};
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::domain::node::NodeId;
use crate::domain::text::storable;

/// Delivers messages: claim, call the channel, record.
pub struct DeliverMessage {
    pub messages: Arc<dyn MessageRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub answered: AnsweredClaims,
    pub early: EarlyAnswers,
    pub confirmations: Confirmations,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    pub policy: RetryPolicy,
    pub dead_letters: DeadLetterPolicy,
    pub tally: Tally,
    pub tenants: MetTenants,
    pub admission: Admission,
    pub receipts: ReceiveReceipts,
    pub one_call: OneCall,
}

/// How a try ended, and what its channel has to do with what follows.
struct Verdict {
    given: Result<Acceptance, DeliveryError>,
    /// Whether it is tried again when it may have been taken.
    retries_unknown: bool,
}

/// The channel, and what it needs.
type Prepared<'a> = Result<(&'a dyn ChannelSender, Delivery), DeliveryError>;

impl Verdict {
    /// The channel was not called.
    fn without_call(error: DeliveryError) -> Self {
        Self { given: Err(error), retries_unknown: true }
    }
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

/// How long a caller waits for an outcome that the database does not take.
const CALLERS_WAIT: Duration = Duration::from_secs(8);

/// A try whose process died is repeated. After this many beyond the message's own limit, the message is taken to be
/// what kills its processes, and fails.
const UNENDED_TRIES: u32 = 10;

const ANOTHER_CALL: &str =
    "The instance takes one call at a time, and another was under way for as long as this message could wait.";

/// After a slot was waited for in vain.
const SLOTS_PAUSE: Duration = Duration::from_secs(5);

/// After it was waited for in vain.
const ANOTHER_CALLS_PAUSE: Duration = Duration::from_secs(2);

impl DeliverMessage {
    /// The one try of a `pending` message, whose caller waits and holds it: any failure is `failed`. Returns the
    /// message as it is afterwards, also when another process brought it there.
    pub async fn deliver_pending(&self, message: Message) -> Message {
        let found = until_answered(self.clock.as_ref(), || self.instances.find_any(message.instance_id)).await;
        let destination = found.map(|instance| instance.map(Instance::destination));
        self.deliver(Claimed { message, destination }, &()).await
    }

    /// The first try of a `pending` message, which this process has just accepted and holds. In its first poll it comes as far
    /// as calling the channel.
    pub async fn deliver_accepted(&self, message: Message, destination: Destination) -> Message {
        self.deliver(Claimed { message, destination: Ok(Some(destination)) }, &()).await
    }

    /// Claims a `queued` message and delivers it.
    ///
    /// # Errors
    /// When the claim was not answered. The message is not held then: if it was claimed all the same, the comparison
    /// gives it back.
    pub async fn claim_and_deliver(
        &self,
        id: MessageId,
        progress: &dyn Progress,
    ) -> Result<ClaimResult, RepositoryError> {
        let Some(_hold) = self.held.hold(id) else { return Ok(ClaimResult::Held) };
        let Some(claimed) = self.claim(id).await? else { return Ok(ClaimResult::Nothing) };
        progress.claimed();
        Ok(ClaimResult::Delivered(Box::new(self.deliver(claimed, progress).await)))
    }

    /// Claims a `queued` message that was put off too often to be put off without a claim, and puts it off all the same.
    ///
    /// # Errors
    /// As above.
    pub async fn claim_and_put_off(&self, id: MessageId, wait: &Wait) -> Result<ClaimResult, RepositoryError> {
        let Some(_hold) = self.held.hold(id) else { return Ok(ClaimResult::Held) };
        let Some(Claimed { message, .. }) = self.claim(id).await? else { return Ok(ClaimResult::Nothing) };
        let began = message.attempt_started_at.unwrap_or_else(|| self.clock.now());
        let because = if wait.is_undeliverable { DeliveryError::not_now } else { DeliveryError::no_place };
        let error = because(wait.reason.clone().into_owned(), wait.pause.unwrap_or(Duration::MAX));
        let ended = self.end(message, began, Verdict::without_call(error)).await;
        Ok(ClaimResult::Delivered(Box::new(ended)))
    }

    async fn claim(&self, id: MessageId) -> Result<Option<Claimed>, RepositoryError> {
        let node = self.identity.current_or_wait().await?;
        let claimed = self.messages.claim(id, node, self.clock.now()).await?;
        if let Some(Claimed { message, .. }) = &claimed {
            self.answered.remember(&message.guard());
        }
        Ok(claimed)
    }

    async fn deliver(&self, claimed: Claimed, progress: &dyn Progress) -> Message {
        let message = self.try_once(claimed, progress).await;
        self.confirmations.heard(&message);
        message
    }

    async fn try_once(&self, claimed: Claimed, progress: &dyn Progress) -> Message {
        let Claimed { mut message, destination } = claimed;
        let retry_unknown = retry_unknown(&destination);
        let takes_one_call = takes_one_call(&destination);
        let pace = pace(&destination);
        // A row that cannot be read says nothing of its instance.
        if let Ok(Some(_)) = destination {
            self.admission.takes_one_call(message.instance_id, takes_one_call);
            self.admission.pacing().learn(message.instance_id, pace);
        }
        let prepared = self.prepare(&mut message, destination);
        let (prepared, turn) = match prepared {
            Ok((sender, delivery)) if takes_one_call => match self.turn(&message, sender).await {
                Ok(turn) => (Ok((sender, delivery)), Some(turn)),
                Err(error) => {
                    give_back(&mut message, delivery);
                    (Err(error), None)
                }
            },
            prepared => (prepared, None),
        };
        let (prepared, slot) = match pace {
            Some(_) => self.in_its_slot(&mut message, prepared, progress).await,
            None => (prepared, None),
        };
        // Last before the call: what came before may have taken longer than other nodes wait (`NODE_TIMEOUT`).
        if !self.keep(&mut message).await {
            warn!(message.id = %message.id, "taken over before it could be delivered");
            self.answered.forget(&message.guard());
            if let Ok((_, delivery)) = prepared {
                give_back(&mut message, delivery);
            }
            return self.as_it_is(message).await;
        }
        let prepared = if slot.is_some_and(|slot| slot.is_lost(self.clock.monotonic())) {
            too_late(&mut message, prepared)
        } else {
            prepared
        };
        debug!(message.id = %message.id, try_number = message.tries, "delivering");
        let started_at = message.attempt_started_at.unwrap_or_else(|| self.clock.now());
        let verdict = match prepared {
            Ok((sender, delivery)) => {
                let began = self.clock.monotonic();
                let given = sender.send(&delivery).await;
                if let Ok(acceptance) = &given {
                    self.confirmations.taken(message.id, acceptance.channel_message_id.as_deref());
                }
                give_back(&mut message, delivery);
                self.admission.heard(message.instance_id, began, &given);
                let retries_unknown = retry_unknown.unwrap_or_else(|| sender.retries_unknown());
                Verdict { given, retries_unknown }
            }
            Err(error) => Verdict::without_call(error),
        };
        drop(turn);
        progress.called();
        self.end(message, started_at, verdict).await
    }

    /// Decides what follows, and records it.
    async fn end(&self, message: Message, started_at: Timestamp, verdict: Verdict) -> Message {
        let Verdict { given, retries_unknown } = verdict;
        let mut decided = ClockWatch::default();
        decided.look(self.clock.as_ref());
        let (guard, finished_at) = (message.guard(), self.clock.now());
        let sender = self.channels.find(&message.channel);
        let so_far = SoFar::of(&message, retries_unknown, sender.is_some_and(|sender| sender.keeps_trying()));
        let policy = self.policy.with_backoff(sender.and_then(|sender| sender.backoff()));
        let next = policy.after(given, &so_far, finished_at, self.randomness.chance());
        let dead_letters = match sender {
            Some(sender) if sender.owes_dead_letters() => DeadLetterPolicy::Topic,
            _ => self.dead_letters,
        };
        let dead_lettered_at = match next {
            NextStep::Failed { .. } => dead_letters.dead_lettered_at(finished_at),
            _ => None,
        };
        let has_receipts = sender.is_some_and(|sender| sender.gives_receipts());
        let outcome = Outcome { guard, next, started_at, finished_at, dead_lettered_at, has_receipts };
        self.record(message, Arc::new(outcome), decided).await
    }

    /// The turn of a message whose instance takes one call at a time.
    async fn turn(&self, message: &Message, sender: &dyn ChannelSender) -> Result<CallTurn, DeliveryError> {
        match self.one_call.turn(message, sender.longest_try()).await {
            Ok(Some(turn)) => Ok(turn),
            Ok(None) => Err(DeliveryError::no_place(ANOTHER_CALL, ANOTHER_CALLS_PAUSE)),
            Err(cause) => {
                error!(message.id = %message.id, %cause, "whose turn it is cannot be read");
                Err(DeliveryError::no_place(
                    "Whether another call of the instance is under way cannot be read.",
                    ANOTHER_CALLS_PAUSE,
                ))
            }
        }
    }

    /// Of an instance that has a pace, when its time has come.
    async fn in_its_slot<'a>(
        &self,
        message: &mut Message,
        prepared: Prepared<'a>,
        progress: &dyn Progress,
    ) -> (Prepared<'a>, Option<Slot>) {
        let (sender, delivery) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return (Err(error), None),
        };
        match self.slot(message, progress, sender.longest_try()).await {
            Ok(slot) => (Ok((sender, delivery)), Some(slot)),
            Err(error) => {
                give_back(message, delivery);
                (Err(error), None)
            }
        }
    }

    /// The slot in which the instance may be called, once its time has come: that which was reserved with its place, or before it
    /// was stored.
    async fn slot(
        &self,
        message: &Message,
        progress: &dyn Progress,
        longest_call: Duration,
    ) -> Result<Slot, DeliveryError> {
        let pacing = self.admission.pacing();
        let patience = if message.status == MessageStatus::Pending { longest_call } else { SLOT_PATIENCE };
        let reserved = progress.slot().or_else(|| pacing.kept(message.id));
        let slot = match reserved.filter(|slot| !slot.is_lost(self.clock.monotonic())) {
            Some(slot) => Some(slot),
            None => pacing.next(message.instance_id, patience).await,
        };
        let slot = slot.ok_or_else(|| DeliveryError::no_place(TOO_FAST, SLOTS_PAUSE))?;
        pacing.until(slot).await;
        Ok(slot)
    }

    fn no_such_channel(&self, message: &Message) -> DeliveryError {
        let name = storable(message.channel.as_str(), 255);
        let not_here = || not_here(format!("This process has no channel {name}."));
        self.channels.switched_off(&message.channel).map_or_else(not_here, DeliveryError::misconfigured)
    }

    /// Gathers the channel and what it needs; the content goes from the message to the delivery, which is its only place.
    fn prepare(
        &self,
        message: &mut Message,
        destination: Result<Option<Destination>, RepositoryError>,
    ) -> Result<(&dyn ChannelSender, Delivery), DeliveryError> {
        if let Some(flaw) = &message.flaw {
            return Err(DeliveryError::misconfigured(format!("Its row cannot be read: {flaw}.")));
        }
        self.tenants.met(&message.tenant);
        if message.tries > message.max_tries.saturating_add(UNENDED_TRIES) {
            let reason = format!("Its delivery was begun {} times, and its process died each time.", message.tries - 1);
            return Err(DeliveryError::misconfigured(reason));
        }
        let Destination { address, credentials, .. } = match destination {
            Ok(Some(destination)) => destination,
            Ok(None) => return Err(DeliveryError::misconfigured(DELETED)),
            Err(cause) => {
                error!(message.id = %message.id, %cause, "the instance cannot be read");
                return Err(DeliveryError::misconfigured("The instance's row cannot be read."));
            }
        };
        let sender = self.channels.find(&message.channel).ok_or_else(|| self.no_such_channel(message))?;
        let credentials = self.cipher.open(message.instance_id, &credentials).map_err(|cause| {
            error!(instance.id = %message.instance_id, %cause, "the credentials cannot be opened");
            not_here("The instance's credentials cannot be decrypted with this process's CREDENTIALS_KEY.")
        })?;
        let delivery = Delivery {
            message_id: message.id,
            run: message.replays,
            channel_instance_id: message.channel_instance_id.clone(),
            address,
            credentials,
            recipient: message.recipient.clone(),
            content: std::mem::take(&mut message.content),
            tries: message.tries,
            created_at: message.created_at,
        };
        Ok((sender.as_ref(), delivery))
    }

    /// Makes sure that this process owns the message under a name that is good now. A name that is no longer good may be
    /// declared gone at any moment, so that reading the owner would prove nothing: the message is taken along to the
    /// current name. False when another node has it.
    async fn keep(&self, message: &mut Message) -> bool {
        while !self.identity.is_certain(message.node) {
            let node = until_answered(self.clock.as_ref(), || self.identity.current_or_wait()).await;
            let taken = match node {
                Ok(node) => self.take_along(message, node).await,
                Err(cause) => Err(cause),
            };
            match taken {
                Ok(true) => {}
                Ok(false) => return false,
                Err(cause) => {
                    error!(message.id = %message.id, %cause, "the message cannot be taken along to the new name");
                    return false;
                }
            }
        }
        true
    }

    async fn take_along(&self, message: &mut Message, node: NodeId) -> Result<bool, RepositoryError> {
        let (guard, now) = (message.guard(), self.clock.now());
        let taken = until_answered(self.clock.as_ref(), || self.messages.take_along(&guard, node, now)).await?;
        if taken {
            message.take_along(node, now);
        }
        Ok(taken)
    }

    /// Writes the outcome until it has landed: without it the message would be delivered a second time. That may take as long
    /// as an outage, and the clock be set meanwhile.
    async fn record(&self, message: Message, mut outcome: Arc<Outcome>, mut decided: ClockWatch) -> Message {
        let recorded = loop {
            let write = || {
                if let Some(step) = decided.look(self.clock.as_ref()) {
                    outcome = Arc::new(outcome.gone_along(step.by, step.now));
                }
                let outcome = Arc::clone(&outcome);
                async move { self.messages.record(&outcome).await }
            };
            match self.recorded(&message, until_answered(self.clock.as_ref(), write)).await {
                Ok(recorded) => break recorded,
                Err(cause) => {
                    error!(message.id = %message.id, %cause, "the outcome cannot be recorded; tried again");
                    self.clock.sleep(Duration::from_secs(2)).await;
                }
            }
        };
        // Landed or lost, this try needs no comparison any more.
        self.answered.forget(&outcome.guard);
        if !recorded {
            warn!(message.id = %message.id, "the outcome came too late: another process has taken the message over");
            let message = self.as_it_is(message).await;
            // It may be this very outcome, whose answer was lost.
            self.apply_receipts(&message, &outcome).await;
            return message;
        }
        self.count(&message, &outcome);
        let mut ended = message;
        if let Err(forbidden) = ended.end(outcome.ending()) {
            error!(message.id = %ended.id, %forbidden, "the outcome is recorded although the domain forbids this move: a defect");
            return self.as_it_is(ended).await;
        }
        self.apply_receipts(&ended, &outcome).await;
        ended
    }

    /// What came before, of whatever name the message has: it waits while a message is being delivered.
    async fn apply_receipts(&self, message: &Message, outcome: &Outcome) {
        let may_move = message.status != MessageStatus::Queued || message.is_unanswered;
        if outcome.has_receipts && may_move {
            self.receipts.apply_to(message.id).await;
        }
    }

    /// Whether the outcome has landed. The caller of the message is answered before that when it takes long.
    async fn recorded(
        &self,
        message: &Message,
        recording: impl Future<Output = Result<bool, RepositoryError>> + Send,
    ) -> Result<bool, RepositoryError> {
        if !self.early.has_caller(message.id) {
            return recording.await;
        }
        let recording = Box::pin(recording);
        match select(recording, self.clock.sleep(CALLERS_WAIT)).await {
            Either::Left((recorded, _)) => recorded,
            Either::Right((_, recording)) => {
                self.early.answer(message);
                recording.await
            }
        }
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
            NextStep::PutOff { at, error } => {
                warn!(message.id = %message.id, next_attempt_at = %at, %error, "cannot be delivered by this process; put off");
            }
        }
    }
}

/// Its slot was lost before the call.
fn too_late<'a>(message: &mut Message, prepared: Prepared<'a>) -> Prepared<'a> {
    let (_, delivery) = prepared?;
    give_back(message, delivery);
    Err(DeliveryError::no_place(TOO_FAST, SLOTS_PAUSE))
}

fn takes_one_call(destination: &Result<Option<Destination>, RepositoryError>) -> bool {
    matches!(destination, Ok(Some(Destination { takes_one_call: true, .. })))
}

fn pace(destination: &Result<Option<Destination>, RepositoryError>) -> Option<Pace> {
    destination.as_ref().ok()?.as_ref()?.pace
}

/// What the instance says of messages that may have been delivered.
fn retry_unknown(destination: &Result<Option<Destination>, RepositoryError>) -> Option<bool> {
    destination.as_ref().ok()?.as_ref()?.retry_unknown
}

/// Only the answer to a waiting caller needs the content when the call is over: many outcomes may wait for the database.
fn give_back(message: &mut Message, delivery: Delivery) {
    if message.status == MessageStatus::Pending {
        message.content = delivery.content;
    }
}

/// What this process cannot do, another one may.
fn not_here(reason: impl Into<String>) -> DeliveryError {
    DeliveryError::not_now(reason, Duration::MAX)
}
