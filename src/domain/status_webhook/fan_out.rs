//! Who is told of which changes now: a pure function, the same for every database.

use std::collections::HashSet;

use super::{Change, Subscriber};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;

/// How much is told in one go. The last message may go beyond the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub tellings: usize,
    pub bytes: u64,
}

/// Of one transaction.
pub const ROOM: Room = Room { tellings: 1_000, bytes: 16 * 1024 * 1024 };

/// One change for one subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    pub change: &'a Change,
    pub to: &'a Subscriber,
    /// The subscriber is being told of an earlier change of the message: this one waits until that has ended.
    pub waits: bool,
}

/// What becomes of changes.
#[derive(Debug, Default)]
pub struct FanOut<'a> {
    pub tellings: Vec<Telling<'a>>,
    /// Changes of which all are told.
    pub done: Vec<i64>,
    /// A change of which only some are told for now, and the last of those.
    pub begun: Option<(i64, InstanceId)>,
}

/// Tells all `subscribers`, who are in order of their ids, of all `changes`, which are in the order in which they were made, as far
/// as there is room. `busy` says who is being told of which message.
pub fn fan_out<'a>(
    changes: &'a [Change],
    subscribers: &'a [Subscriber],
    mut busy: HashSet<(InstanceId, MessageId)>,
    room: Room,
) -> FanOut<'a> {
    let mut fanned = FanOut::default();
    let mut bytes = 0;
    for change in changes {
        let mut told_to = change.told_to;
        for to in subscribers.iter().filter(|it| change.told_to.is_none_or(|told| it.id > told) && it.hears(change)) {
            if fanned.tellings.len() >= room.tellings || bytes >= room.bytes {
                fanned.begun = told_to.filter(|_| told_to != change.told_to).map(|told| (change.seq, told));
                return fanned;
            }
            let waits = !busy.insert((to.id, change.message.id));
            if !waits {
                bytes += change.message.content.bytes();
            }
            fanned.tellings.push(Telling { change, to, waits });
            told_to = Some(to.id);
        }
        fanned.done.push(change.seq);
    }
    fanned
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::access::principal::Tenant;
    use crate::domain::instance::channel::ChannelName;
    use crate::domain::message::{Content, Direction, Message, MessageStatus};
    use crate::domain::status_webhook::States;

    const PLENTY: Room = Room { tellings: 1_000, bytes: 1 << 30 };

    fn message(id: u128, status: MessageStatus) -> Message {
        let now = Timestamp::UNIX_EPOCH;
        Message {
            id: MessageId(Uuid::from_u128(id)),
            tenant: Tenant::new("acme").unwrap(),
            user_id: String::new(),
            instance_id: InstanceId(Uuid::nil()),
            channel: ChannelName::new("sandbox"),
            channel_instance_id: "shop".to_owned(),
            recipient: "55".to_owned(),
            group: None,
            broadcast: None,
            content: Content { text: Some("x".repeat(100)), media: None, payload: None, template: None, record: None },
            direction: Direction::Sent,
            purpose: None,
            status,
            channel_message_id: None,
            error: None,
            failure: None,
            tries: 1,
            max_tries: 1,
            priority: None,
            send_at: None,
            try_number: 1,
            attempt_started_at: None,
            attempt_http_status: None,
            node: None,
            next_attempt_at: None,
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

    fn change(seq: i64, id: u128, status: MessageStatus) -> Change {
        Change { seq, message: message(id, status), told_to: None }
    }

    fn subscriber(id: u128) -> Subscriber {
        Subscriber {
            id: InstanceId(Uuid::from_u128(id)),
            tenant: Tenant::new("acme").unwrap(),
            user_id: String::new(),
            states: States::all(),
            channel_instance_id: None,
        }
    }

    fn pairs(fanned: &FanOut) -> Vec<(i64, u128, bool)> {
        let pair = |it: &Telling| (it.change.seq, it.to.id.0.as_u128(), it.waits);
        fanned.tellings.iter().map(pair).collect()
    }

    #[test]
    fn a_second_change_of_a_message_waits_for_the_first() {
        let changes =
            [change(1, 7, MessageStatus::Sent), change(2, 8, MessageStatus::Sent), change(3, 7, MessageStatus::Read)];
        let (one, two) = ([subscriber(1)], [subscriber(1), subscriber(2)]);
        let fanned = fan_out(&changes, &one, HashSet::new(), PLENTY);
        assert_eq!(pairs(&fanned), [(1, 1, false), (2, 1, false), (3, 1, true)]);
        assert_eq!((fanned.done.clone(), fanned.begun), (vec![1, 2, 3], None));
        let busy = HashSet::from([(subscriber(1).id, MessageId(Uuid::from_u128(8)))]);
        let fanned = fan_out(&changes[1..2], &two, busy, PLENTY);
        assert_eq!(pairs(&fanned), [(2, 1, true), (2, 2, false)]);
    }

    #[test]
    fn each_is_told_what_it_asked_for() {
        let only_failed = Subscriber { states: States::some(&[MessageStatus::Failed]).unwrap(), ..subscriber(1) };
        let of_another = Subscriber { channel_instance_id: Some("other".to_owned()), ..subscriber(2) };
        let foreign = Subscriber { tenant: Tenant::new("globex").unwrap(), ..subscriber(3) };
        let of_shop = Subscriber { channel_instance_id: Some("shop".to_owned()), ..subscriber(4) };
        let subscribers = [only_failed, of_another, foreign, of_shop];
        let changes = [change(1, 7, MessageStatus::Sent), change(2, 8, MessageStatus::Failed)];
        let fanned = fan_out(&changes, &subscribers, HashSet::new(), PLENTY);
        assert_eq!(pairs(&fanned), [(1, 4, false), (2, 1, false), (2, 4, false)]);
    }

    #[test]
    fn however_little_room_there_is_each_is_told_once_and_in_order() {
        for room in [Room { tellings: 1, ..PLENTY }, Room { tellings: 4, ..PLENTY }, Room { bytes: 250, ..PLENTY }] {
            let subscribers: Vec<Subscriber> = (1..=5).map(subscriber).collect();
            let mut changes: Vec<Change> = (1..=4).map(|seq| change(seq, seq as u128, MessageStatus::Sent)).collect();
            let mut told = Vec::new();
            for _ in 0..100 {
                let fanned = fan_out(&changes, &subscribers, HashSet::new(), room);
                assert!(fanned.tellings.len() <= room.tellings && fanned.tellings.len() <= 20);
                told.extend(pairs(&fanned).into_iter().map(|(seq, to, _)| (seq, to)));
                let (done, begun) = (fanned.done, fanned.begun);
                changes.retain(|change| !done.contains(&change.seq));
                if let Some((seq, to)) = begun {
                    changes.iter_mut().find(|change| change.seq == seq).unwrap().told_to = Some(to);
                }
            }
            let all: Vec<(i64, u128)> = (1..=4).flat_map(|seq| (1..=5).map(move |to| (seq, to))).collect();
            assert_eq!(told, all);
        }
    }
}
