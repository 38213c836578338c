//! One content for many recipients: a row of its own, from which messages are made in chunks.

pub mod broadcast_id;
pub mod counts;
pub mod rate;
pub mod recipient;
mod status;
pub mod template;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::access::principal::{Principal, Tenant};
use crate::domain::group::GroupId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::message::delivery::FailureKind;
use crate::domain::message::{Content, Direction, MaxTries, Message, MessageId, MessageStatus, Priority};
use crate::domain::node::NodeId;
use rate::BroadcastRate;
use recipient::BroadcastRecipient;

pub use broadcast_id::BroadcastId;
pub use status::{BroadcastStatus, UnknownBroadcastStatus};

/// Recipients of one broadcast at most.
pub const MOST_RECIPIENTS: usize = 100_000;

/// What its messages have in common, and how far they are made. Its recipients are fixed with it, in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub tenant: Tenant,
    pub user_id: String,
    pub instance_id: InstanceId,
    pub channel: ChannelName,
    pub channel_instance_id: String,
    pub group: Option<GroupId>,
    pub content: Content,
    /// Whether `{{name}}` in its texts is filled from each recipient's variables.
    pub is_template: bool,
    pub max_tries: u32,
    pub priority: Option<Priority>,
    pub rate_per_minute: Option<u32>,
    /// The next slot that no message has, of one that has a rate; none: its messages are yet to be made.
    pub paced_at: Option<Timestamp>,
    pub send_at: Option<Timestamp>,
    pub status: BroadcastStatus,
    pub total: u32,
    /// So many of the recipients, in their order, have messages.
    pub cursor: u32,
    /// The node that makes its messages.
    pub node: Option<NodeId>,
    /// The time in the ids of its messages, and when they are said to be created: a message's id follows from this.
    pub ids_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// What a caller asks to be sent to many, checked.
#[derive(Clone, Debug)]
pub struct BroadcastDraft {
    pub group: Option<GroupId>,
    pub content: Content,
    pub is_template: bool,
    pub max_tries: Option<MaxTries>,
    pub priority: Option<Priority>,
    pub rate_per_minute: Option<u32>,
    pub send_at: Option<Timestamp>,
}

impl Broadcast {
    /// Accepted at `now`; its recipients are fixed.
    #[allow(clippy::too_many_arguments, reason = "these are the seven things that a broadcast is made of")]
    pub fn accept(
        sender: &Principal,
        instance: &Instance,
        draft: BroadcastDraft,
        total: u32,
        default_max_tries: MaxTries,
        (id, node): (BroadcastId, NodeId),
        now: Timestamp,
    ) -> Self {
        let due = draft.send_at.filter(|send_at| *send_at > now);
        Self {
            id,
            tenant: sender.tenant.clone(),
            user_id: sender.subject.clone(),
            instance_id: instance.id,
            channel: instance.channel.clone(),
            channel_instance_id: instance.channel_instance_id.clone(),
            group: draft.group,
            content: draft.content,
            is_template: draft.is_template,
            max_tries: draft
                .max_tries
                .map(MaxTries::number)
                .or(instance.max_tries)
                .unwrap_or(default_max_tries.number()),
            priority: draft.priority,
            rate_per_minute: draft.rate_per_minute,
            paced_at: None,
            send_at: draft.send_at,
            status: BroadcastStatus::of_new(due.is_some(), total),
            total,
            cursor: 0,
            node: Some(node),
            ids_at: due.unwrap_or(now),
            created_at: now,
            updated_at: now,
            finished_at: (total == 0).then_some(now),
        }
    }

    /// The id of the message to the recipient at this place, the first being 0: the same whoever makes it, in the order of the
    /// places, and of no other broadcast.
    pub fn message_id(&self, place: u32) -> MessageId {
        let milliseconds = u128::from(self.ids_at.timestamp_millis().max(0).cast_unsigned());
        let place = u128::from(place);
        // Of the bits that a UUIDv7 leaves: 12 and 20 for the place, 42 for the broadcast.
        let (above, below) = (place >> 20, place & 0xf_ffff);
        let id = (milliseconds << 80) | (0x7 << 76) | (above << 64) | (0b10 << 62) | (below << 42) | self.mark();
        MessageId(Uuid::from_u128(id))
    }

    /// The least and the greatest id that a message of it may have.
    pub fn message_ids(&self) -> (MessageId, MessageId) {
        (self.message_id(0), self.message_id(u32::MAX))
    }

    fn mark(&self) -> u128 {
        let digest = Sha256::digest(self.id.0.as_bytes());
        digest.iter().take(6).fold(0, |mark, byte| (mark << 8) | u128::from(*byte)) & ((1 << 42) - 1)
    }

    /// The message to the recipient at this place, made by `node`: due at its time, and handed over by the relay; or failed, if
    /// `refused` or its variables say so, before anything is sent.
    pub fn message(
        &self,
        place: u32,
        recipient: &BroadcastRecipient,
        refused: impl FnOnce(&str, &Content) -> Option<String>,
        node: NodeId,
        (now, due): (Timestamp, Timestamp),
    ) -> Message {
        let filled = if self.is_template { template::fill(&self.content, recipient) } else { Ok(self.content.clone()) };
        let (content, reason) = match filled {
            Ok(content) => {
                let reason = refused(&recipient.address, &content);
                (content, reason)
            }
            Err(unfilled) => (self.content.clone(), Some(unfilled.to_string())),
        };
        let message = self.queued(place, recipient, content, node, (now, due));
        match reason {
            None => message,
            // It is no record of a broker's, and so owes none.
            Some(reason) => Message {
                status: MessageStatus::Failed,
                error: Some(reason),
                failure: Some(FailureKind::Recipient),
                dead_lettered_at: Some(now),
                next_attempt_at: None,
                ..message
            },
        }
    }

    fn queued(
        &self,
        place: u32,
        recipient: &BroadcastRecipient,
        content: Content,
        node: NodeId,
        (now, due): (Timestamp, Timestamp),
    ) -> Message {
        Message {
            id: self.message_id(place),
            tenant: self.tenant.clone(),
            user_id: self.user_id.clone(),
            instance_id: self.instance_id,
            channel: self.channel.clone(),
            channel_instance_id: self.channel_instance_id.clone(),
            recipient: recipient.address.clone(),
            group: self.group,
            broadcast: Some(self.id),
            content,
            direction: Direction::Sent,
            purpose: None,
            status: MessageStatus::Queued,
            channel_message_id: None,
            error: None,
            failure: None,
            tries: 0,
            max_tries: self.max_tries,
            priority: self.priority,
            send_at: self.send_at,
            try_number: 0,
            attempt_started_at: None,
            attempt_http_status: None,
            node: Some(node),
            next_attempt_at: Some(due),
            deferrals: 0,
            deferred_since: None,
            is_unanswered: false,
            replays: 0,
            dead_lettered_at: None,
            created_at: self.ids_at,
            updated_at: now,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            flaw: None,
        }
    }

    pub fn rate(&self) -> Option<BroadcastRate> {
        self.rate_per_minute.map(BroadcastRate::new)
    }

    /// How many recipients have no message yet.
    pub fn waits(&self) -> u32 {
        self.total.saturating_sub(self.cursor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn broadcast(id: u128) -> Broadcast {
        let at = "2026-11-23T12:00:00.123Z".parse().unwrap();
        Broadcast {
            id: BroadcastId(Uuid::from_u128(id)),
            tenant: Tenant::new("acme").unwrap(),
            user_id: "user".to_owned(),
            instance_id: InstanceId(Uuid::from_u128(1)),
            channel: ChannelName::new("sandbox"),
            channel_instance_id: "sandbox".to_owned(),
            group: None,
            content: Content { text: Some("Olá, {{nome}}".to_owned()), ..Content::default() },
            is_template: true,
            max_tries: 3,
            priority: None,
            rate_per_minute: None,
            paced_at: None,
            send_at: None,
            status: BroadcastStatus::Expanding,
            total: 3,
            cursor: 0,
            node: None,
            ids_at: at,
            created_at: at,
            updated_at: at,
            finished_at: None,
        }
    }

    proptest! {
        #[test]
        fn ids_are_in_the_order_of_the_places_and_of_one_broadcast(
            places in prop::collection::btree_set(any::<u32>(), 1..50), one in any::<u128>(), other in any::<u128>()
        ) {
            prop_assume!(one != other);
            let (one, other) = (broadcast(one), broadcast(other));
            let ids: Vec<MessageId> = places.iter().map(|place| one.message_id(*place)).collect();
            prop_assert!(ids.is_sorted() && ids.iter().collect::<BTreeSet<_>>().len() == places.len());
            let (first, last) = one.message_ids();
            prop_assert!(ids.iter().all(|id| (first..=last).contains(id) && id.0.get_version_num() == 7));
            prop_assert!(ids.iter().all(|id| places.iter().all(|place| other.message_id(*place) != *id)));
        }
    }

    #[test]
    fn a_message_that_cannot_be_filled_or_is_refused_has_failed_before_it_was_sent() {
        let broadcast = broadcast(7);
        let (now, due) = ("2026-11-23T13:00:00Z".parse().unwrap(), "2026-11-23T13:00:03Z".parse().unwrap());
        let node = NodeId(Uuid::from_u128(2));
        let ana = BroadcastRecipient { variables: [("nome".into(), "Ana".into())].into(), address: "1".into() };
        let sent = broadcast.message(0, &ana, |_, _| None, node, (now, due));
        assert_eq!((sent.status, sent.content.text.as_deref()), (MessageStatus::Queued, Some("Olá, Ana")));
        assert_eq!((sent.next_attempt_at, sent.created_at), (Some(due), broadcast.ids_at));
        let missing = broadcast.message(1, &BroadcastRecipient::new("2"), |_, _| None, node, (now, due));
        let refused = broadcast.message(2, &ana, |_, _| Some("no such number".to_owned()), node, (now, due));
        for failed in [missing, refused] {
            assert_eq!((failed.status, failed.failure), (MessageStatus::Failed, Some(FailureKind::Recipient)));
            assert!(failed.error.is_some() && failed.next_attempt_at.is_none() && failed.dead_lettered_at.is_some());
        }
    }
}
