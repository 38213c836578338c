//! How a message changes: the end of a try, and every other way to another state. Adapters and answers follow from here.

use chrono::TimeDelta;

use super::attempt::AttemptOutcome;
use super::deferral::Deferral;
use super::delivery::{
    DeliveryError, DeliveryErrorKind, EARLIER_MAY_HAVE_BEEN_DELIVERED, FailureKind, MAY_HAVE_BEEN_DELIVERED,
};
use super::retry::NextStep;
use super::{Message, MessageStatus};
use crate::domain::Timestamp;
use crate::domain::node::NodeId;

use MessageStatus::{Cancelled, Delivered, Failed, Pending, Processing, Queued, Read, Sent};

/// One way of changing a message: which states it starts from and which it leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub name: &'static str,
    pub from: &'static [MessageStatus],
    pub to: &'static [MessageStatus],
    /// Makes two moves of a queued message in one write: claims it and ends it.
    pub claims: bool,
}

impl Change {
    const fn new(name: &'static str, from: &'static [MessageStatus], to: &'static [MessageStatus]) -> Self {
        Self { name, from, to, claims: false }
    }

    const fn claiming(self) -> Self {
        Self { claims: true, ..self }
    }

    /// The moves of [`MOVES`](super::MOVES) that it makes.
    pub fn moves(&self) -> impl Iterator<Item = (MessageStatus, MessageStatus)> + '_ {
        let claims = self.from.iter().filter(|from| self.is_claimed_first(**from)).map(|from| (*from, Processing));
        claims.chain(self.from.iter().flat_map(move |from| {
            let begun = if self.is_claimed_first(*from) { Processing } else { *from };
            self.to.iter().map(move |to| (begun, *to))
        }))
    }

    fn is_claimed_first(&self, from: MessageStatus) -> bool {
        self.claims && from == Queued
    }
}

/// The end of a try.
pub const END: Change = Change::new("end", &[Pending, Processing], &[Sent, Failed, Queued]);
/// The end of a try whose claim a crash of the database took back: the claim and its outcome in one.
pub const CLAIM_AND_END: Change = Change::new("claim and end", &[Queued], &[Sent, Failed, Queued]).claiming();
pub const CLAIM: Change = Change::new("claim", &[Queued], &[Processing]);
/// The relay takes a message upon its node, to hand it over.
pub const TAKE: Change = Change::new("take", &MessageStatus::OPEN, &[Queued]);
/// No process delivers it: it is due now.
pub const GIVE_BACK: Change = Change::new("give back", &[Pending, Processing], &[Queued]);
/// It was not handed over, or its accept was not answered: it is due now.
pub const MAKE_DUE: Change = Change::new("make due", &[Pending, Queued], &[Queued]);
/// Its time goes along with a clock that was set. Not among [`CHANGES`]: it has to have one.
pub const RETIME: Change = Change::new("retime", &[Queued], &[Queued]);
pub const REPLAY: Change = Change::new("replay", &[Failed], &[Queued]);
/// Its instance may not be called now.
pub const DEFER: Change = Change::new("defer", &[Queued], &[Queued]);
/// Its sender takes it back. Nothing leads on from there.
pub const CANCEL: Change = Change::new("cancel", &[Queued], &[Cancelled]);
/// Its instance is deleted. A queued message is claimed by it, so that a late claim's outcome has another try number.
pub const FAIL: Change = Change::new("fail", &MessageStatus::OPEN, &[Failed]).claiming();

/// What receipts say. Of those that failed, only of one whose outcome is unknown; of those that are queued, only of one with a
/// try whose outcome is: it is not sent again then. What is being delivered waits for its outcome.
pub const RECEIPT_SENT: Change = Change::new("receipt: sent", &[Queued, Failed], &[Sent]);
pub const RECEIPT_DELIVERED: Change = Change::new("receipt: delivered", &[Queued, Sent, Failed], &[Delivered]);
pub const RECEIPT_READ: Change = Change::new("receipt: read", &[Queued, Sent, Delivered, Failed], &[Read]);
pub const RECEIPT_FAILED: Change = Change::new("receipt: failed", &[Sent, Failed], &[Failed]);

pub const CHANGES: [&Change; 14] = [
    &END,
    &CLAIM_AND_END,
    &CLAIM,
    &TAKE,
    &GIVE_BACK,
    &MAKE_DUE,
    &DEFER,
    &REPLAY,
    &CANCEL,
    &FAIL,
    &RECEIPT_SENT,
    &RECEIPT_DELIVERED,
    &RECEIPT_READ,
    &RECEIPT_FAILED,
];

/// A move that is not among [`MOVES`](super::MOVES).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message does not become {to} from {from}")]
pub struct ForbiddenMove {
    pub from: MessageStatus,
    pub to: MessageStatus,
}

/// What the end of a try leaves in the message and in its attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub status: MessageStatus,
    pub attempt: AttemptOutcome,
    /// None: what an earlier try got stays.
    pub channel_message_id: Option<String>,
    pub error: Option<String>,
    pub failure: Option<FailureKind>,
    pub http_status: Option<u16>,
    pub next_attempt_at: Option<Timestamp>,
    pub dead_lettered_at: Option<Timestamp>,
    /// None: when an earlier try sent it stays.
    pub sent_at: Option<Timestamp>,
    pub finished_at: Timestamp,
    /// Whether the channel was called, or would have been: otherwise no try is spent.
    pub is_spent: bool,
    /// The channel may have taken it, and its answer was lost.
    pub is_unanswered: bool,
    /// Of one that is put off: whether perhaps no process can ever deliver it. Otherwise it waits for a place.
    pub is_undeliverable: bool,
}

impl Ending {
    /// `dead_lettered_at` counts only with a failure.
    pub fn of(step: &NextStep, finished_at: Timestamp, dead_lettered_at: Option<Timestamp>) -> Self {
        match step {
            NextStep::Sent(acceptance) => Self {
                status: Sent,
                attempt: AttemptOutcome::Sent,
                channel_message_id: acceptance.channel_message_id.clone(),
                error: None,
                failure: None,
                http_status: acceptance.http_status,
                next_attempt_at: None,
                dead_lettered_at: None,
                sent_at: Some(finished_at),
                finished_at,
                is_spent: true,
                is_unanswered: false,
                is_undeliverable: false,
            },
            NextStep::Failed { failure, error } => {
                let unsuccessful = Self::unsuccessful(Failed, error, finished_at);
                Self { failure: Some(*failure), dead_lettered_at, ..unsuccessful }
            }
            NextStep::Retry { at, error } => {
                Self { next_attempt_at: Some(*at), ..Self::unsuccessful(Queued, error, finished_at) }
            }
            NextStep::PutOff { at, error } => {
                let unsuccessful = Self::unsuccessful(Queued, error, finished_at);
                let is_undeliverable = error.kind.is_undeliverable();
                Self { next_attempt_at: Some(*at), is_spent: false, is_undeliverable, ..unsuccessful }
            }
        }
    }

    fn unsuccessful(status: MessageStatus, error: &DeliveryError, finished_at: Timestamp) -> Self {
        Self {
            status,
            attempt: error.kind.into(),
            channel_message_id: error.channel_message_id.clone(),
            error: Some(error.reason.clone()),
            failure: None,
            http_status: error.http_status,
            next_attempt_at: None,
            dead_lettered_at: None,
            sent_at: None,
            finished_at,
            is_spent: true,
            is_unanswered: error.kind == DeliveryErrorKind::Unknown,
            is_undeliverable: false,
        }
    }
}

/// Each leaves the message as it was when the move is forbidden.
impl Message {
    /// Applies the end of a try.
    ///
    /// # Errors
    /// When the message is not being delivered.
    pub fn end(&mut self, ending: Ending) -> Result<(), ForbiddenMove> {
        self.change(&END, ending.status)?;
        self.channel_message_id = ending.channel_message_id.or(self.channel_message_id.take());
        self.error = ending.error;
        self.failure = ending.failure;
        self.attempt_http_status = ending.http_status;
        self.next_attempt_at = ending.next_attempt_at;
        self.dead_lettered_at = ending.dead_lettered_at;
        self.sent_at = ending.sent_at.or(self.sent_at);
        self.is_unanswered |= ending.is_unanswered;
        self.updated_at = ending.finished_at;
        if ending.is_spent {
            self.deferred_since = None;
        } else {
            self.tries = self.tries.saturating_sub(1);
            self.deferrals = self.deferrals.saturating_add(1);
            if ending.is_undeliverable {
                self.deferred_since.get_or_insert(ending.finished_at);
            }
        }
        Ok(())
    }

    /// Begins a try for `node`.
    ///
    /// # Errors
    /// When the message is not queued.
    pub fn claim(&mut self, node: NodeId, now: Timestamp) -> Result<(), ForbiddenMove> {
        self.change(&CLAIM, Processing)?;
        self.begin_try(now);
        self.node = Some(node);
        self.attempt_http_status = None;
        self.updated_at = now;
        Ok(())
    }

    /// Applies the end of a try whose claim was lost, and with it the claim.
    ///
    /// # Errors
    /// When the message is not queued.
    pub fn claim_and_end(
        &mut self,
        node: Option<NodeId>,
        started_at: Timestamp,
        ending: Ending,
    ) -> Result<(), ForbiddenMove> {
        self.change(&CLAIM_AND_END, Processing)?;
        self.begin_try(started_at);
        self.node = node;
        self.end(ending)
    }

    /// The relay takes the message upon `node`, to hand it over. A node that was delivering it may have done so.
    ///
    /// # Errors
    /// When the message has ended.
    pub fn take_over(&mut self, node: NodeId, now: Timestamp) -> Result<(), ForbiddenMove> {
        let is_under_way = self.status != Queued;
        self.change(&TAKE, Queued)?;
        self.is_unanswered |= is_under_way;
        self.node = Some(node);
        self.next_attempt_at = None;
        self.updated_at = now;
        Ok(())
    }

    /// Takes the message along to another name of the process that delivers it.
    pub fn take_along(&mut self, node: NodeId, now: Timestamp) {
        self.node = Some(node);
        self.updated_at = now;
    }

    /// Gives the message back, due now: no process delivers it. Its try counts unless it is known that none was made.
    ///
    /// # Errors
    /// When the message is not being delivered.
    pub fn give_back(&mut self, is_spent: bool, now: Timestamp) -> Result<(), ForbiddenMove> {
        self.change(&GIVE_BACK, Queued)?;
        if !is_spent {
            self.tries = self.tries.saturating_sub(1);
        }
        self.is_unanswered |= is_spent;
        self.become_due(now);
        Ok(())
    }

    /// Puts the message off, without a try.
    ///
    /// # Errors
    /// When the message is not queued.
    pub fn defer(&mut self, deferral: &Deferral) -> Result<(), ForbiddenMove> {
        self.change(&DEFER, Queued)?;
        self.next_attempt_at = Some(deferral.until(self.deferrals));
        self.error = Some(deferral.reason.clone());
        self.updated_at = deferral.now;
        self.deferrals = self.deferrals.saturating_add(1);
        if deferral.is_undeliverable {
            self.deferred_since.get_or_insert(deferral.now);
        }
        Ok(())
    }

    /// Makes a message due now that was not handed over, or of which it was not known whether it is stored.
    ///
    /// # Errors
    /// When the message was claimed or has ended.
    pub fn make_due(&mut self, now: Timestamp) -> Result<(), ForbiddenMove> {
        self.change(&MAKE_DUE, Queued)?;
        self.become_due(now);
        Ok(())
    }

    /// Its times go along with a clock that was set by so much; its first try is not before the time that its sender gave.
    ///
    /// # Errors
    /// When the message is not queued.
    pub fn go_along(&mut self, by: TimeDelta, now: Timestamp) -> Result<(), ForbiddenMove> {
        let along = |time: Timestamp| time.checked_add_signed(by).unwrap_or(time);
        let not_before = self.send_at.filter(|_| self.tries == 0);
        self.deferred_since = self.deferred_since.map(along);
        match self.next_attempt_at {
            Some(time) => self.retime(not_before.map_or(along(time), |first| along(time).max(first)), now),
            None => Ok(()),
        }
    }

    /// Gives the message another time, if it waits for one.
    ///
    /// # Errors
    /// When the message is not queued.
    pub fn retime(&mut self, next_attempt_at: Timestamp, now: Timestamp) -> Result<(), ForbiddenMove> {
        self.change(&RETIME, Queued)?;
        self.next_attempt_at = Some(next_attempt_at);
        self.updated_at = now;
        Ok(())
    }

    /// Puts a failed message back on its way. `try_number` goes on counting: what is still said of earlier tries has lost
    /// its guard. That one of them may have been delivered stays true.
    ///
    /// # Errors
    /// When the message has not failed.
    pub fn replay(&mut self, now: Timestamp) -> Result<(), ForbiddenMove> {
        self.change(&REPLAY, Queued)?;
        self.tries = 0;
        self.replays = self.replays.saturating_add(1);
        // The name of a run that is known to have failed: what is still said of it moves no later one.
        self.channel_message_id = self.channel_message_id.take().filter(|_| self.is_unanswered);
        self.error = None;
        self.failure = None;
        self.dead_lettered_at = None;
        self.deferrals = 0;
        self.deferred_since = None;
        self.become_due(now);
        Ok(())
    }

    /// Takes a message back that no node has claimed. What an earlier try left in it stays.
    ///
    /// # Errors
    /// When the message was claimed or has ended.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), ForbiddenMove> {
        self.change(&CANCEL, Cancelled)?;
        self.next_attempt_at = None;
        self.updated_at = now;
        Ok(())
    }

    /// Fails an open message because its instance is deleted. What is being delivered may get there all the same.
    ///
    /// # Errors
    /// When the message has ended.
    pub fn fail(
        &mut self,
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), ForbiddenMove> {
        let is_under_way = self.status != Queued;
        if !is_under_way {
            self.change(&FAIL, Processing)?;
            self.begin_try(now);
        }
        self.change(&FAIL, Failed)?;
        let (failure, and) = match (is_under_way, self.is_unanswered) {
            (true, _) => (FailureKind::Unknown, MAY_HAVE_BEEN_DELIVERED),
            (false, true) => (FailureKind::Unknown, EARLIER_MAY_HAVE_BEEN_DELIVERED),
            (false, false) => (FailureKind::Channel, ""),
        };
        self.failure = Some(failure);
        self.error = Some(format!("{reason}{and}"));
        self.is_unanswered |= is_under_way;
        self.attempt_http_status = None;
        self.next_attempt_at = None;
        self.dead_lettered_at = dead_lettered_at;
        self.updated_at = now;
        Ok(())
    }

    fn begin_try(&mut self, now: Timestamp) {
        self.tries = self.tries.saturating_add(1);
        self.try_number = self.try_number.saturating_add(1);
        self.attempt_started_at = Some(now);
    }

    fn become_due(&mut self, now: Timestamp) {
        self.next_attempt_at = Some(now);
        self.updated_at = now;
    }

    pub(in crate::domain) fn change(&mut self, change: &Change, next: MessageStatus) -> Result<(), ForbiddenMove> {
        if !change.from.contains(&self.status) {
            return Err(ForbiddenMove { from: self.status, to: next });
        }
        self.move_to(next)
    }

    /// The one way to another state.
    fn move_to(&mut self, next: MessageStatus) -> Result<(), ForbiddenMove> {
        if !self.status.may_become(next) {
            return Err(ForbiddenMove { from: self.status, to: next });
        }
        self.status = next;
        Ok(())
    }
}
