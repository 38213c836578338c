//! One thing to deliver to one recipient: one row in `messaging_messages`.

pub mod attempt;
mod content;
pub mod dead_letter;
pub mod deferral;
pub mod delivery;
mod recipient;
pub mod retry;
mod status;
pub mod transition;
#[cfg(test)]
mod transition_tests;
mod tries;

use std::fmt;

use chrono::Months;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::access::principal::{Principal, Tenant};
use crate::domain::broadcast::broadcast_id::BroadcastId;
use crate::domain::group::GroupId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::node::NodeId;
use delivery::FailureKind;

pub use content::{Content, InvalidMediaUrl, Media, MediaType, MediaUrl, UnknownMediaType};
pub use recipient::Recipient;
pub use status::{MOVES, MessageStatus, UnknownStatus};
pub use tries::{InvalidTries, MaxTries};

/// A UUIDv7: its order is the order in which one process accepted its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Messages that share it leave in the order in which they were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderingKey {
    pub instance: InstanceId,
    pub recipient: String,
}

/// Whether we sent the message or received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Sent,
    Received,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Sent => "sent",
            Direction::Received => "received",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Direction::Sent, Direction::Received].into_iter().find(|direction| direction.as_str() == text)
    }
}

/// What a message is there for that no client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It tells a subscriber that another message is in another state.
    Status,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Status => "status",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        (text == Purpose::Status.as_str()).then_some(Purpose::Status)
    }
}

/// How urgent a message is to its sender: 0 to 9, 9 the most. Stored and shown; nothing follows from it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority(u8);

impl Priority {
    pub const HIGHEST: u8 = 9;

    pub fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Priority {
    type Error = ();

    fn try_from(number: i64) -> Result<Self, ()> {
        u8::try_from(number).ok().filter(|number| *number <= Self::HIGHEST).map(Self).ok_or(())
    }
}

/// What a caller asks to be sent, checked, before it is a message.
#[derive(Clone, Debug)]
pub struct Draft {
    pub recipient: Recipient,
    pub content: Content,
    pub max_tries: Option<MaxTries>,
    pub priority: Option<Priority>,
    /// Not before. A moment that is past is now.
    pub send_at: Option<Timestamp>,
    /// The group that it is sent to, or to one of whose members.
    pub group: Option<GroupId>,
}

impl Draft {
    /// A draft that says nothing but this.
    pub fn new(recipient: Recipient, content: Content) -> Self {
        Self { recipient, content, max_tries: None, priority: None, send_at: None, group: None }
    }

    /// The key of the message that `instance` will send.
    pub fn ordering_key(&self, instance: InstanceId) -> OrderingKey {
        OrderingKey { instance, recipient: self.recipient.as_str().to_owned() }
    }

    /// Whether `send_at` is no more than a year ahead: a message that waits must not outlive what keeps it.
    pub fn is_within_a_year(&self, now: Timestamp) -> bool {
        let latest = now.checked_add_months(Months::new(12)).unwrap_or(now);
        self.send_at.is_none_or(|send_at| send_at <= latest)
    }
}

/// The row, as far as delivering it is concerned.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    pub tenant: Tenant,
    /// Its sender: a JWT's `sub`, or `key:<id>`.
    pub user_id: String,
    pub instance_id: InstanceId,
    pub channel: ChannelName,
    pub channel_instance_id: String,
    pub recipient: String,
    /// The group that it was sent to, or to one of whose members.
    pub group: Option<GroupId>,
    /// The broadcast that it was made of.
    pub broadcast: Option<BroadcastId>,
    pub content: Content,
    pub direction: Direction,
    /// None: a client sent it, or a channel brought it.
    pub purpose: Option<Purpose>,
    pub status: MessageStatus,
    pub channel_message_id: Option<String>,
    pub error: Option<String>,
    pub failure: Option<FailureKind>,
    /// Tries begun since it was accepted or last replayed; shown to people.
    pub tries: u32,
    pub max_tries: u32,
    pub priority: Option<Priority>,
    /// When its sender wanted it to be sent; [`next_attempt_at`](Self::next_attempt_at) says when it is due.
    pub send_at: Option<Timestamp>,
    /// Tries begun ever; never goes back. Guards every write to a message that is being delivered.
    pub try_number: u32,
    /// When its last try began, and what the channel's HTTP status was.
    pub attempt_started_at: Option<Timestamp>,
    pub attempt_http_status: Option<u16>,
    /// The node that has taken it upon itself.
    pub node: Option<NodeId>,
    /// Not before; none: now, by its owner.
    pub next_attempt_at: Option<Timestamp>,
    /// How often it was put off since it was accepted or last replayed.
    pub deferrals: u32,
    /// Since when, without a try, no process can deliver it.
    pub deferred_since: Option<Timestamp>,
    /// One of its tries may have been delivered, and what became of it is not known.
    pub is_unanswered: bool,
    /// How often it was put back on its way after it had failed.
    pub replays: u32,
    pub dead_lettered_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    /// What of the row cannot be read, most often because it was edited by hand: the end of a sentence. Such a message is shown,
    /// and brought to its end, with something in the place of what cannot be read; it is not delivered.
    pub flaw: Option<String>,
}

impl Message {
    /// A new message of `sender`, owned by `node`, waiting in `status`.
    ///
    /// One that waits in `pending` is being delivered by the process that accepted it: its first try has begun. One that is to be sent
    /// later waits in `queued`, whatever `status` says, for its time: as `pending` it would be taken for orphaned.
    #[allow(clippy::too_many_arguments, reason = "these are the eight things that a message is made of")]
    pub fn accept(
        sender: &Principal,
        instance: &Instance,
        draft: Draft,
        default_max_tries: MaxTries,
        status: MessageStatus,
        node: NodeId,
        id: MessageId,
        now: Timestamp,
    ) -> Message {
        let due = draft.send_at.filter(|send_at| *send_at > now);
        let status = if due.is_some() { MessageStatus::Queued } else { status };
        let tries_begun = u32::from(status == MessageStatus::Pending);
        Message {
            id,
            tenant: sender.tenant.clone(),
            user_id: sender.subject.clone(),
            instance_id: instance.id,
            channel: instance.channel.clone(),
            channel_instance_id: instance.channel_instance_id.clone(),
            recipient: draft.recipient.into_string(),
            group: draft.group,
            broadcast: None,
            content: draft.content,
            direction: Direction::Sent,
            purpose: None,
            status,
            channel_message_id: None,
            error: None,
            failure: None,
            tries: tries_begun,
            max_tries: draft
                .max_tries
                .map(MaxTries::number)
                .or(instance.max_tries)
                .unwrap_or(default_max_tries.number()),
            priority: draft.priority,
            send_at: draft.send_at,
            try_number: tries_begun,
            attempt_started_at: (tries_begun > 0).then_some(now),
            attempt_http_status: None,
            node: Some(node),
            next_attempt_at: due,
            deferrals: 0,
            deferred_since: None,
            is_unanswered: false,
            replays: 0,
            dead_lettered_at: None,
            created_at: now,
            updated_at: now,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            flaw: None,
        }
    }
}

/// What a writer believes of a message that is being delivered. A write that finds it otherwise is too late and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    pub id: MessageId,
    /// `pending` or `processing`.
    pub status: MessageStatus,
    pub node: Option<NodeId>,
    pub try_number: u32,
}

impl Message {
    pub fn guard(&self) -> Guard {
        Guard { id: self.id, status: self.status, node: self.node, try_number: self.try_number }
    }
}
