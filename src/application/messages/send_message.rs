use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use tracing::debug;

use super::early_answers::EarlyAnswers;
use super::lanes::LanePlace;
use super::not_before::{Asked, Later, NotBefore};
use super::open_bound::{OpenBound, TooManyOpen};
use super::turn::{Busy, Turns};
use super::waiting_callers::{WaitingCaller, WaitingCallers};
use crate::application::node::held_messages::HeldMessages;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::Tally;
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::{
    Accepted, BroadcastRepository, ChannelSender, Channels, Clock, Handover, InstanceRepository, KeptRequest,
    MessageQueue, MessageRepository, RepositoryError,
};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::access::principal::{MissingScope, Principal};
use crate::domain::instance::Instance;
use crate::domain::instance::InstanceName;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Draft, MaxTries, Message, MessageId, MessageStatus};
use crate::domain::node::NodeId;
use crate::domain::problem::FieldProblem;

/// Accepts a message: stored first, then handed to the queue.
pub struct SendMessage {
    pub messages: Arc<dyn MessageRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub queue: Arc<dyn MessageQueue>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub turns: Turns,
    pub callers: WaitingCallers,
    pub unreconciled: Unreconciled,
    pub early: EarlyAnswers,
    pub clock: Arc<dyn Clock>,
    pub tally: Tally,
    /// Tries for a message whose instance and caller name none.
    pub max_tries: MaxTries,
    /// How long a caller waits for the result of a delivery at the most.
    pub direct_timeout: Duration,
    pub not_before: NotBefore,
    pub open_bound: Arc<OpenBound>,
    /// A key that a broadcast has is taken.
    pub broadcasts: Arc<dyn BroadcastRepository>,
}

#[derive(Clone, Debug)]
pub struct SendMessageCommand {
    pub channel: ChannelName,
    pub channel_instance_id: InstanceName,
    pub draft: Draft,
    pub request: Option<IdempotentRequest>,
}

/// What a message has before it is stored.
struct Beginning {
    instance: Instance,
    node: NodeId,
    id: MessageId,
    /// If it keeps an order.
    place: Option<LanePlace>,
    now: Timestamp,
    /// If its caller may have to wait for the delivery.
    waiting: Option<WaitingCaller>,
}

/// What became of a request to send.
#[derive(Clone, Debug)]
pub struct Submission {
    pub message: Message,
    /// `pending`: the caller waited for the result. `queued`: the message is delivered later.
    pub accepted_as: MessageStatus,
    /// It was accepted by an earlier request with the same key.
    pub repeated: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error(transparent)]
    Forbidden(#[from] MissingScope),
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error("the idempotency key was used with another body")]
    KeyReused,
    #[error("the message of this idempotency key is still being delivered")]
    InFlight,
    /// Too many requests wait already, or this one has for too long. Nothing was stored.
    #[error("too many requests wait: {0:?}")]
    Busy(Busy),
    /// The instance may not be called before this has passed. Nothing was stored.
    #[error("the instance may not be called yet: {}", .0.reason)]
    NotYet(Later),
    /// Nothing was stored.
    #[error("the tenant has {} messages open", .0.open)]
    TooManyOpen(TooManyOpen),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl From<Busy> for SendMessageError {
    fn from(busy: Busy) -> Self {
        Self::Busy(busy)
    }
}

impl SendMessage {
    /// A caller that hangs up must not drop this future: presentation runs it in a task of its own.
    ///
    /// # Errors
    /// When the message was not accepted, or it is not known whether it was. A message that was accepted and then failed is
    /// not an error: its submission says so.
    pub async fn execute(
        &self,
        caller: &Principal,
        command: SendMessageCommand,
    ) -> Result<Submission, SendMessageError> {
        self.execute_answering(caller, command, oneshot::channel().0).await
    }

    /// The same, for a caller that is answered by `early` when the result takes too long, or the message was delivered and the
    /// database does not take what became of it: the future goes on until it has.
    ///
    /// # Errors
    /// As above.
    pub async fn execute_answering(
        &self,
        caller: &Principal,
        command: SendMessageCommand,
        early: oneshot::Sender<Message>,
    ) -> Result<Submission, SendMessageError> {
        let asked_at = self.clock.monotonic();
        if let Some(request) = &command.request
            && let Some(submission) = self.earlier_submission(caller, request).await?
        {
            return Ok(submission);
        }
        let sender = self.channels.find(&command.channel).ok_or_else(|| unknown_channel(&self.channels))?;
        caller.must(sender.scope())?;
        let instance = self.instance(caller, &command).await?;
        self.check(sender.as_ref(), &command.draft)?;
        let entered = self.open_bound.enter(&caller.tenant, 1).await.map_err(SendMessageError::TooManyOpen)?;

        let Beginning { instance, node, id, mut place, now, waiting } =
            self.begin(caller, &command, sender.as_ref(), instance).await?;
        let waits = self.queue.waiting_status() == MessageStatus::Pending && waiting.is_some();
        let asked = if waits { self.not_before.ask(&instance, id).await? } else { Asked::Go(None) };
        let (status, until, _slot) = match asked {
            Asked::Go(slot) => (self.queue.waiting_status(), None, slot),
            Asked::Soon(later) => return Err(SendMessageError::NotYet(later)),
            Asked::Until(time) => (MessageStatus::Queued, Some(time), None),
        };
        let mut message = Message::accept(caller, &instance, command.draft, self.max_tries, status, node, id, now);
        message.next_attempt_at = message.next_attempt_at.max(until);
        let hold = self.held.hold(message.id);
        match self.messages.accept(&message, command.request.as_ref()).await {
            Ok(Accepted::Stored) => self.tally.received(),
            Ok(Accepted::KeyTaken(kept)) => return repeat(*kept, command.request.as_ref()),
            Err(error) => {
                if let Some(hold) = hold.filter(|_| matches!(error, RepositoryError::Unavailable(_))) {
                    self.unreconciled.accept(message.id, node, hold);
                }
                return Err(error.into());
            }
        }
        drop(entered);

        if message.next_attempt_at.is_some() {
            // The relay hands it over when its time has come.
            return Ok(Submission { accepted_as: message.status, message, repeated: false });
        }
        if let Some(place) = &mut place {
            place.turn().await;
        }
        // Only a `pending` message, which is being delivered, stays held: a `queued` one is free to be claimed.
        let _hold = hold.filter(|_| message.status == MessageStatus::Pending);
        let accepted_as = message.status;
        let _waiting = self.early.wait(message.id, early);
        let handed_over = self.hand_over_in_time(&message, node, asked_at).await;
        Ok(Submission { message: handed_over.unwrap_or(message), accepted_as, repeated: false })
    }

    /// A caller that has waited for long enough is told that the message is `pending`; the delivery goes on.
    async fn hand_over_in_time(&self, message: &Message, node: NodeId, asked_at: Duration) -> Option<Message> {
        let handing_over = pin!(self.hand_over(message, node));
        if message.status != MessageStatus::Pending {
            return handing_over.await;
        }
        let waited = self.clock.monotonic().saturating_sub(asked_at);
        let too_long = self.clock.sleep(self.direct_timeout.saturating_sub(waited));
        match select(handing_over, too_long).await {
            Either::Left((handed_over, _)) => handed_over,
            Either::Right(((), handing_over)) => {
                self.early.answer(message);
                handing_over.await
            }
        }
    }

    /// The message as it was delivered, if it was. Stored is accepted: what the queue does not take is handed over again by the
    /// relay.
    async fn hand_over(&self, message: &Message, node: NodeId) -> Option<Message> {
        // A delivery that panicked is found by the comparison.
        let is_queued = message.status == MessageStatus::Queued;
        let in_hand = is_queued.then(|| self.unreconciled.in_hand(message.id, node));
        let handed_over = self.queue.hand_over(message).await;
        if handed_over.is_ok()
            && let Some(in_hand) = in_hand
        {
            in_hand.is_handed_over();
        }
        match handed_over {
            Ok(Handover::Done(message)) => Some(*message),
            Ok(Handover::Queued) => None,
            Err(error) => {
                debug!(message.id = %message.id, %error, "left to the relay");
                None
            }
        }
    }

    /// Where callers wait, the message's turn has come then.
    async fn begin(
        &self,
        caller: &Principal,
        command: &SendMessageCommand,
        sender: &dyn ChannelSender,
        instance: Instance,
    ) -> Result<Beginning, SendMessageError> {
        let node = self.identity.current_or_wait().await?;
        let now = self.clock.now();
        let is_for_later = command.draft.send_at.is_some_and(|send_at| send_at > now);
        let waiting = if is_for_later { None } else { Some(self.callers.enter(&caller.tenant, instance.id)?) };
        let (id, mut place) = self.turns.next(sender, &instance, &command.draft, now)?;
        // Most need not wait, and what was looked up for them is as good as new.
        let has_to_wait = place.as_mut().is_some_and(|place| self.turns.has_to_wait(place));
        let Some(behind) = place.as_mut().filter(|_| has_to_wait) else {
            return Ok(Beginning { instance, node, id, place, now, waiting });
        };
        self.turns.in_time(behind).await?;
        // It may have waited for long.
        let node = self.identity.current_or_wait().await?;
        let instance = self.instance(caller, command).await?;
        Ok(Beginning { instance, node, id, place, now: self.clock.now(), waiting })
    }

    async fn instance(&self, caller: &Principal, command: &SendMessageCommand) -> Result<Instance, SendMessageError> {
        let found =
            self.instances.find_by_name(&caller.tenant, &command.channel, command.channel_instance_id.as_str()).await?;
        found.ok_or(SendMessageError::UnknownInstance)
    }

    fn check(&self, sender: &dyn ChannelSender, draft: &Draft) -> Result<(), SendMessageError> {
        let mut problems = sender.check_message(draft.recipient.as_str(), &draft.content).err().unwrap_or_default();
        if draft.content.template.is_some() && !sender.takes_templates() {
            problems.push(FieldProblem::new("/template", "is not known to this channel"));
        }
        if !draft.is_within_a_year(self.clock.now()) {
            problems.push(FieldProblem::new("/sendAt", "must be at most a year ahead"));
        }
        if problems.is_empty() { Ok(()) } else { Err(SendMessageError::Invalid(problems)) }
    }

    /// The answer to an earlier request with the same key. Looked up before anything else, because it holds even when
    /// the instance has been deleted since.
    ///
    /// # Errors
    /// When the key was used for something else, its message is being delivered, or the database does not answer.
    pub async fn earlier_submission(
        &self,
        caller: &Principal,
        request: &IdempotentRequest,
    ) -> Result<Option<Submission>, SendMessageError> {
        let now = self.clock.now();
        if let Some(kept) = self.messages.kept_request(&caller.tenant, &request.key, now).await? {
            return repeat(kept, Some(request)).map(Some);
        }
        match self.broadcasts.kept_request(&caller.tenant, &request.key, now).await? {
            Some(_) => Err(SendMessageError::KeyReused),
            None => Ok(None),
        }
    }
}

fn repeat(kept: KeptRequest, request: Option<&IdempotentRequest>) -> Result<Submission, SendMessageError> {
    if request.is_none_or(|request| request.fingerprint != kept.fingerprint) {
        return Err(SendMessageError::KeyReused);
    }
    // A caller that waited for the result gets the result; so does one that repeats the request.
    if kept.accepted_as == MessageStatus::Pending && kept.message.status.is_open() {
        return Err(SendMessageError::InFlight);
    }
    Ok(Submission { message: kept.message, accepted_as: kept.accepted_as, repeated: true })
}

fn unknown_channel(channels: &Channels) -> SendMessageError {
    SendMessageError::Invalid(vec![channels.unknown()])
}
