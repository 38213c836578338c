use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use correio::application::ports::{BYTES_AT_ONCE, Duties, EventType, Received, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::api_key::ApiKey;
use correio::domain::access::idempotency::IdempotentRequest;
use correio::domain::access::lockout::Failures;
use correio::domain::access::principal::Tenant;
use correio::domain::access::user::User;
use correio::domain::broadcast::recipient::BroadcastRecipient;
use correio::domain::broadcast::{Broadcast, BroadcastId};
use correio::domain::event::EventId;
use correio::domain::group::member::{Member, MemberId};
use correio::domain::group::sync::GroupSync;
use correio::domain::group::{Group, GroupId};
use correio::domain::inbound::InboundKey;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::instance::pace::Course;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::attempt::Attempt;
use correio::domain::message::deferral::MAX_DEFERRALS;
use correio::domain::message::transition::ForbiddenMove;
use correio::domain::message::{Direction, Guard, Message, MessageId, MessageStatus, Purpose};
use correio::domain::node::NodeId;
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus, ReportedSend};
use correio::domain::status_webhook::{Snapshot, StatusSubscription, TOLD};
use correio::domain::subscription::{EventDelivery, Subscription, SubscriptionId};
use uuid::Uuid;

use super::events::EventTables;

/// What is stored. In order of the primary keys, so that nothing depends on how a hash falls.
#[derive(Default)]
pub(super) struct Tables {
    /// Read by everybody; their states are written by [`insert`](Tables::insert) and [`write`](Tables::write) alone.
    pub messages: BTreeMap<MessageId, Message>,
    pub attempts: BTreeMap<(MessageId, u32), Attempt>,
    /// By tenant and key.
    pub idempotency_keys: BTreeMap<(Tenant, String), KeptKey>,
    pub nodes: BTreeMap<NodeId, Node>,
    pub instances: BTreeMap<InstanceId, Instance>,
    pub event_secrets: BTreeMap<InstanceId, EventSecret>,
    /// Digests of tokens, each with the credentials that it is of.
    pub handshakes: BTreeMap<InstanceId, (SealedCredentials, [u8; 32])>,
    /// And when they were deleted.
    pub deleted_instances: BTreeMap<InstanceId, Timestamp>,
    /// And when they came.
    pub receipts: BTreeMap<(ChannelMessage, ReceiptStatus), (Receipt, Timestamp)>,
    pub channel_messages: BTreeMap<ChannelMessage, MessageId>,
    /// And when they were kept.
    pub reported_sends: BTreeMap<ChannelMessage, (ReportedSend, Timestamp)>,
    /// When the last receipt of each came.
    pub receipt_times: BTreeMap<InstanceId, Timestamp>,
    pub received: BTreeMap<InboundKey, MessageId>,
    /// What may have been written on a phone, or is ours.
    pub undecided: BTreeMap<ChannelMessage, Received>,
    /// As they were when they were deleted; used by [`Bug::ClaimsRememberInstances`] alone.
    pub former_instances: BTreeMap<InstanceId, Instance>,
    pub status_subscriptions: BTreeMap<InstanceId, StatusSubscription>,
    /// What is to be told, and how far it was.
    pub status_changes: BTreeMap<i64, (MessageId, Snapshot, Option<InstanceId>)>,
    /// What is being told, or waits: by message, subscription and number.
    pub tellings: BTreeMap<(MessageId, InstanceId, i64), Telling>,
    /// Messages that told something and have ended.
    pub endings: BTreeSet<MessageId>,
    next_change: i64,
    pub api_keys: BTreeMap<Uuid, ApiKey>,
    pub tenants: BTreeSet<Tenant>,
    pub of_events: EventTables,
    pub event_types: BTreeMap<(Tenant, String), EventType>,
    pub subscriptions: BTreeMap<SubscriptionId, Subscription>,
    pub event_deliveries: BTreeMap<(EventId, SubscriptionId), EventDelivery>,
    pub users: BTreeMap<Uuid, User>,
    pub sign_in_failures: BTreeMap<[u8; 32], Failures>,
    pub broadcasts: BTreeMap<BroadcastId, BroadcastRow>,
    /// For when messages of broadcasts were made.
    pub slots: BTreeMap<MessageId, Timestamp>,
    pub groups: BTreeMap<GroupId, Group>,
    pub group_members: BTreeMap<MemberId, Member>,
    pub group_syncs: BTreeMap<InstanceId, GroupSync>,
    pub history: Vec<Change>,
    pub payments: Vec<Payment>,
    pub refusals: Vec<Refusal>,
    /// Messages as they were when they were deleted, in order.
    pub deleted: Vec<Message>,
    /// Messages as they were before claims that are not yet on disk.
    at_risk: Vec<Message>,
    /// How many crashes are so short ago that who lost a claim may not have said how its try ended.
    crashes_in_doubt: u32,
    planted: BTreeSet<Bug>,
    /// None: [`MAX_DEFERRALS`].
    pub max_deferrals: Option<u32>,
    pub paces: BTreeMap<InstanceId, Course>,
}

/// One change for one subscription.
#[derive(Clone, Debug)]
pub(super) enum Telling {
    As(MessageId),
    Waits(Snapshot),
    Next(Snapshot),
}

/// What a row of a broadcast has that is asked for apart.
#[derive(Clone)]
pub(super) struct BroadcastRow {
    pub broadcast: Broadcast,
    pub recipients: Vec<BroadcastRecipient>,
    pub request: Option<IdempotentRequest>,
}

/// Of the secret of an instance's events.
#[derive(Default)]
pub(super) struct EventSecret {
    pub digest: Option<[u8; 32]>,
    /// That of the former one, and until when it counts.
    pub former: Option<([u8; 32], Timestamp)>,
}

#[derive(Clone)]
pub(super) struct KeptKey {
    pub fingerprint: [u8; 32],
    pub message: MessageId,
    pub accepted_as: MessageStatus,
    pub expires_at: Timestamp,
}

pub(super) struct Node {
    pub process: NodeId,
    pub heartbeat: i64,
    pub duties: Duties,
    pub left_at: Option<Timestamp>,
}

/// One write of a message's state, be it the same one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: MessageId,
    /// None: it was accepted.
    pub from: Option<MessageStatus>,
    pub to: MessageStatus,
    /// As it is after the change, like `node`.
    pub try_number: u32,
    pub node: Option<NodeId>,
    /// It was not due before some time.
    pub was_timed: bool,
    /// How long it waits afterwards, by the clock that wrote this; none for a time that its sender gave.
    pub wait: Option<TimeDelta>,
    /// The claim that the writer of an outcome believed to be its own: by which node, and which try.
    pub believed: Option<(Option<NodeId>, u32)>,
    pub writer: &'static str,
}

/// An outcome that changed nothing, because its guard had lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub id: MessageId,
    /// What the writer believed to hold.
    pub node: Option<NodeId>,
    pub try_number: u32,
    /// How the try ended.
    pub ended: MessageStatus,
    /// As the row was, and whether it was not due before some time.
    pub found: (MessageStatus, u32),
    pub was_timed: bool,
}

/// That a dead letter was marked as paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub id: MessageId,
    pub try_number: u32,
    /// A record of it is said to be on the topic. Otherwise the row is the dead letter, because nobody publishes.
    pub has_record: bool,
    /// Nodes that publish, and have not said that they stopped.
    pub publishers: Vec<NodeId>,
}

/// The writer of what receipts say.
const RECEIPTS: &str = "receipts.apply";

/// The writer of a [`Change`] that takes a claim back.
pub const CRASH: &str = "a crash";

/// One condition that the tables leave out, to show that a test of the whole notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A slot is reserved for whoever asks, although another has it.
    ReservesSlotsTwice,
    /// A claim gets a queued message before its time too.
    ClaimIgnoresNextAttempt,
    /// A chunk of a broadcast that is made again, because its answer was lost, is made of new messages.
    ExpandsTwice,
    /// The cursor of a broadcast moves without its next slot.
    LeavesSlotsToOthers,
    /// The outcome of an earlier try is written over a later one's.
    OutcomeIgnoresTry,
    /// The outcome of a claim that a crash took back is written over the claim that somebody else made since.
    OutcomeIgnoresNode,
    /// A claim gets what its own node is delivering, too.
    NodesClaimTwice,
    /// The relay takes what waits for its time before that has come.
    RelayTakesBeforeTheTime,
    /// The relay takes what was cancelled, too.
    RelayTakesCancelled,
    /// The relay takes what a live node is delivering.
    RelayTakesProcessingOfLiveNodes,
    /// Who takes a message along to another name is told that it did, whosever it is.
    EverybodyTakesAlong,
    /// A message is not taken along: it is looked whether it is still under the old name, and its outcome is written under
    /// either.
    LooksInsteadOfTakingAlong,
    /// Whatever a name that is gone owns is left alone while its process has another.
    SuccessorsKeepEverything,
    /// What waits under a name that is gone is due, although its process has another.
    RelayTakesWhatWaitsForSuccessors,
    /// What waits keeps its time when the clock is set.
    NothingIsTimedAnew,
    /// A claim hands out the address of an instance that was deleted, too.
    ClaimsRememberInstances,
    /// Rows are said to be the dead letters, whoever publishes.
    WritesOffWhoeverPublishes,
    /// The outcome of a claim that a crash took back is refused.
    LostClaimsStayLost,
    /// What is being delivered is cancelled too.
    CancelsWhatIsClaimed,
    /// What a crash made look unclaimed is cancelled too.
    CancelsAfterACrash,
    /// What waits for its time is put off as well.
    PutsOffWhatIsTimed,
    /// What is old is looked at first, and deleted as it was then.
    DeletesWhatItLookedAt,
    /// A claim gets nothing but what its node owns.
    ClaimsOnlyItsOwn,
    /// A relay takes it that the try of a node that is gone was not made.
    RelayLowersTries,
    /// A try that was not made gives its number back, too.
    TryNumbersGoBack,
    /// Receipts are deleted when they were applied, also to a message that is open.
    DeletesReceiptsOfOpenMessages,
    /// Receipts are deleted when they were looked at, whether or not they belong to a message by then.
    DeletesReceiptsOfNobody,
    /// A receipt moves the message that its name stood for once, whatever the message is called now.
    ReceiptsIgnoreTheName,
    /// What a node that left in good order was about to deliver is left alone.
    DepartedKeepPending,
    /// A dead letter is marked as paid, whichever try it tells of.
    MarksIgnoreTry,
    /// A message is made due, whoever owns it.
    MakesDueWhoseverItIs,
    /// Nothing has to be claimed for having been put off often.
    PutsOffForEver,
    /// What receipts make of a message is not noted for subscribers.
    ReceiptsAreNotTold,
    /// A change is told although an earlier one of the same message still is.
    TellsAllAtOnce,
}

impl Tables {
    pub fn plant(&mut self, bug: Bug) {
        self.planted.insert(bug);
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.planted.contains(&bug)
    }

    pub fn max_deferrals(&self) -> u32 {
        self.max_deferrals.unwrap_or(MAX_DEFERRALS)
    }

    /// Stores a message that is not there yet.
    pub fn insert(&mut self, message: Message, writer: &'static str) {
        self.sync();
        self.tell(None, &message, false, writer);
        self.note(None, &message, writer);
        self.messages.insert(message.id, message);
    }

    /// The one way to write a state: what `change` did is in the history. None when there is no such message, or the domain
    /// forbids it.
    pub fn write(
        &mut self,
        id: MessageId,
        writer: &'static str,
        change: impl FnOnce(&mut Message) -> Result<(), ForbiddenMove>,
    ) -> Option<Message> {
        let written = self.change(id, writer, change)?;
        self.sync();
        Some(written)
    }

    /// The same, but not on disk before somebody else's write is: a [`crash`](Self::crash) takes it back until then.
    pub fn claim(
        &mut self,
        id: MessageId,
        writer: &'static str,
        change: impl FnOnce(&mut Message) -> Result<(), ForbiddenMove>,
    ) -> Option<Message> {
        let before = self.messages.get(&id)?.clone();
        let claimed = self.change(id, writer, change)?;
        self.at_risk.push(before);
        Some(claimed)
    }

    /// Something was written, and with it all that was committed before: a log has one end.
    pub fn sync(&mut self) {
        self.at_risk.clear();
    }

    /// How many claims a crash would take back.
    pub fn at_risk(&self) -> usize {
        self.at_risk.len()
    }

    /// The database dies, and comes back without the claims that are not on disk. Returns whose they were.
    pub fn crash(&mut self) -> Vec<(MessageId, NodeId)> {
        self.crashes_in_doubt += 1;
        let mut taken_back = Vec::new();
        while let Some(before) = self.at_risk.pop() {
            let Some(claimed) = self.messages.insert(before.id, before.clone()) else { continue };
            taken_back.extend(claimed.node.map(|node| (claimed.id, node)));
            self.tell(Some(claimed.status), &before, claimed.next_attempt_at.is_some(), CRASH);
        }
        taken_back
    }

    /// Who lost a claim to a crash has said how its try ended, or lost its name.
    pub fn end_doubt(&mut self) {
        self.crashes_in_doubt = self.crashes_in_doubt.saturating_sub(1);
    }

    pub fn doubts_claims(&self) -> bool {
        self.crashes_in_doubt > 0
    }

    fn change(
        &mut self,
        id: MessageId,
        writer: &'static str,
        change: impl FnOnce(&mut Message) -> Result<(), ForbiddenMove>,
    ) -> Option<Message> {
        let message = self.messages.get_mut(&id)?;
        let (from, was_timed) = (message.status, message.next_attempt_at.is_some());
        change(message).ok()?;
        let written = message.clone();
        self.tell(Some(from), &written, was_timed, writer);
        self.note(Some(from), &written, writer);
        Some(written)
    }

    fn tell(&mut self, from: Option<MessageStatus>, now: &Message, was_timed: bool, writer: &'static str) {
        let (id, to, try_number, node) = (now.id, now.status, now.try_number, now.node);
        let wait = now.next_attempt_at.filter(|_| now.next_attempt_at != now.send_at).map(|time| time - now.updated_at);
        self.history.push(Change { id, from, to, try_number, node, was_timed, wait, believed: None, writer });
    }

    /// What is to be told of a change, and that what told something has ended: what triggers do in the databases.
    fn note(&mut self, from: Option<MessageStatus>, now: &Message, writer: &'static str) {
        if now.purpose == Some(Purpose::Status) && !now.status.is_open() {
            self.endings.insert(now.id);
        }
        let is_told = from != Some(now.status) && TOLD.contains(&now.status);
        let is_own = now.direction == Direction::Sent && now.purpose.is_none();
        let is_forgotten = self.has(Bug::ReceiptsAreNotTold) && writer == RECEIPTS;
        let has_subscriber = self.status_subscriptions.values().any(|it| it.tenant == now.tenant);
        if is_told && is_own && has_subscriber && !is_forgotten {
            self.next_change += 1;
            self.status_changes.insert(self.next_change, (now.id, Snapshot::of(now), None));
        }
    }

    /// What the writer of the last change took for its claim.
    pub fn believed(&mut self, guard: &Guard) {
        if let Some(change) = self.history.last_mut() {
            change.believed = Some((guard.node, guard.try_number));
        }
    }

    /// Marks a failed message's dead letter as paid.
    pub fn pay(&mut self, id: MessageId, has_record: bool, now: Timestamp) {
        self.sync();
        let publishers = self.nodes.iter().filter(|(_, node)| node.duties.publishes && node.left_at.is_none());
        let publishers = publishers.map(|(id, _)| *id).collect();
        let Some(message) = self.messages.get_mut(&id) else { return };
        message.dead_lettered_at = Some(now);
        let try_number = message.try_number;
        self.payments.push(Payment { id, try_number, has_record, publishers });
    }

    /// Deletes a message and its attempts. Nobody has it under way: it is at an end.
    pub fn forget(&mut self, id: MessageId) {
        self.sync();
        let deleted = self.messages.remove(&id);
        if deleted.as_ref().is_some_and(|message| message.purpose == Some(Purpose::Status)) {
            self.endings.insert(id);
        }
        self.deleted.extend(deleted);
        self.attempts.retain(|(of, _), _| *of != id);
        self.channel_messages.retain(|_, of| *of != id);
    }

    /// A try has one row: the first one stays.
    pub fn tell_attempt(&mut self, id: MessageId, attempt: Attempt) {
        self.attempts.entry((id, attempt.number)).or_insert(attempt);
    }

    pub fn attempts_of(&self, id: MessageId) -> Vec<Attempt> {
        self.attempts.range((id, 0)..=(id, u32::MAX)).map(|(_, attempt)| attempt.clone()).collect()
    }

    pub fn is_as(&self, guard: &Guard) -> bool {
        let is_as = |found: Guard| {
            let node = if self.has(Bug::LooksInsteadOfTakingAlong) { found.node } else { guard.node };
            found == Guard { node, ..*guard }
        };
        self.messages.get(&guard.id).is_some_and(|message| is_as(message.guard()))
    }

    /// Its state stays, so it is not in the history.
    pub fn take_along(&mut self, guard: &Guard, node: NodeId, now: Timestamp) -> bool {
        if self.has(Bug::LooksInsteadOfTakingAlong) {
            return self.messages.get(&guard.id).is_some_and(|message| message.guard() == *guard);
        }
        let is_delivered = matches!(guard.status, MessageStatus::Pending | MessageStatus::Processing);
        let is_kept = self.is_as(guard) || self.is_as(&Guard { node: Some(node), ..*guard });
        let Some(message) = self.messages.get_mut(&guard.id).filter(|_| is_delivered && is_kept) else {
            return self.has(Bug::EverybodyTakesAlong);
        };
        message.take_along(node, now);
        self.sync();
        true
    }

    /// One that stopped in good order speaks for the earlier names of its process, too.
    pub fn speaks_for_another(&self, node: NodeId) -> bool {
        let Some(last) = self.nodes.get(&node).filter(|node| node.left_at.is_some()) else { return false };
        self.nodes.values().any(|node| node.process == last.process && node.left_at.is_none())
    }

    /// Whether something names this node that is its own, or that its process times anew: `ended` is what has ended.
    pub fn keeps(&self, node: NodeId, ended: &[NodeId]) -> bool {
        let process = self.nodes.get(&node).map(|row| row.process);
        let mut names = self.nodes.iter().filter(|(_, row)| Some(row.process) == process && row.left_at.is_none());
        let goes_on = names.any(|(name, _)| !ended.contains(name));
        self.open().any(|it| it.node == Some(node) && (goes_on || it.next_attempt_at.is_none()))
    }

    /// An outcome changed nothing.
    pub fn refused(&mut self, guard: &Guard, ended: MessageStatus) {
        let Some(message) = self.messages.get(&guard.id) else { return };
        let (found, was_timed) = ((message.status, message.try_number), message.next_attempt_at.is_some());
        let Guard { id, node, try_number, .. } = *guard;
        self.refusals.push(Refusal { id, node, try_number, ended, found, was_timed });
    }

    /// Whether the row is as it was before the claim of which the guard tells.
    /// It may have been put off since, if the try was the first and sent it.
    pub fn has_lost(&self, guard: &Guard, ended: MessageStatus) -> bool {
        let may_wait = guard.try_number == 1 && ended == MessageStatus::Sent;
        self.messages.get(&guard.id).is_some_and(|message| {
            message.status == MessageStatus::Queued
                && (may_wait || message.next_attempt_at.is_none())
                && message.try_number + 1 == guard.try_number
        })
    }

    pub fn open(&self) -> impl Iterator<Item = &Message> {
        self.messages.values().filter(|message| message.status.is_open())
    }
}

/// As many as are read or changed in one go.
pub(super) fn fitting<'m>(messages: impl IntoIterator<Item = &'m Message>) -> impl Iterator<Item = &'m Message> {
    let mut before = 0;
    messages.into_iter().take_while(move |message| {
        let fits = before < BYTES_AT_ONCE;
        before += message.content.bytes();
        fits
    })
}

/// Makes the texts of a row be refused if PostgreSQL refuses one of them.
pub(super) fn storable<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), RepositoryError> {
    match texts.into_iter().flatten().find(|text| text.contains('\0')) {
        Some(text) => Err(RepositoryError::Refused(format!("{text:?} has a NUL"))),
        None => Ok(()),
    }
}
