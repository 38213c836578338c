use std::collections::BTreeSet;

use correio::application::ports::{OpenMessages, Position, SlotsAsked, Stores};
use correio::domain::instance::pace::Pace;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::attempt::AttemptOutcome;
use correio::domain::message::delivery::FailureKind;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use futures::future::{join, join_all};

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, failed, instance, message_of, node, outcome, retry, sent, tenant};

on_every_adapter![
    deleted_instances_are_listed_in_order_until_they_are_forgotten,
    what_is_open_of_some_instances_is_found,
    a_look_is_bounded_and_the_next_goes_on_where_it_ended,
    what_is_open_fails_with_its_reason,
    what_is_at_an_end_and_what_is_anothers_stays_as_it_is,
    a_late_outcome_of_a_failed_message_loses,
    what_failed_owes_its_record_unless_told_otherwise,
    failed_in_several_places_at_once_every_message_is_counted_once,
    failed_while_others_write_every_message_ends_once,
];

async fn stored(adapters: &Adapters, name: &str) -> Instance {
    let instance = instance("acme", name);
    adapters.instances.insert(&instance).await.unwrap();
    instance
}

/// So many queued messages of the instance.
async fn queued(adapters: &Adapters, instance: &Instance, owner: NodeId, count: usize) -> Vec<Message> {
    let messages: Vec<Message> = (0..count).map(|_| message_of(instance, MessageStatus::Queued, owner)).collect();
    for stored in join_all(messages.iter().map(|message| adapters.messages.accept(message, None))).await {
        stored.unwrap();
    }
    messages
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

async fn deleted_instances_are_listed_in_order_until_they_are_forgotten(adapters: &Adapters) {
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), []);
    let names = ["late", "first", "same", "kept"];
    let mut instances = Vec::new();
    for name in names {
        instances.push(stored(adapters, name).await);
    }
    let [late, first, same, kept] = &instances[..] else { panic!("four") };
    for (instance, seconds) in [(late, 30), (first, 10), (same, 10)] {
        assert!(adapters.instances.delete(&instance.tenant, instance.id, at(seconds)).await.unwrap());
    }
    assert!(!adapters.instances.delete(&tenant("globex"), kept.id, at(10)).await.unwrap());
    assert!(!adapters.instances.delete(&late.tenant, late.id, at(1)).await.unwrap(), "it is gone");
    let mut expected = [first.id, same.id];
    expected.sort();
    assert_eq!(adapters.deleted_instances.list(2).await.unwrap(), expected);
    let all = [expected[0], expected[1], late.id];
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), all);
    let slots = async |instance| {
        let pace = Pace::new(6, Some(1)).unwrap();
        let asked = SlotsAsked { instance, pace, slots: 1, returns: 0, now: chrono::Utc::now() };
        adapters.paces.reserve(&asked).await.unwrap().slots
    };
    for instance in [late.id, kept.id] {
        assert_eq!((slots(instance).await, slots(instance).await), (1, 0));
    }
    adapters.deleted_instances.forget(&[expected[0], late.id, kept.id]).await.unwrap();
    assert_eq!((slots(late.id).await, slots(kept.id).await), (1, 0), "its pace is forgotten with it");
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), [expected[1]]);
    adapters.deleted_instances.forget(&[expected[1]]).await.unwrap();
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), []);
}

/// One in every open state, and one that waits for its time.
async fn one_of_every_kind(adapters: &Adapters, instance: &Instance, owner: NodeId) -> [Message; 4] {
    let pending = adapters.stored(message_of(instance, MessageStatus::Pending, owner)).await;
    let waiting = adapters.stored(message_of(instance, MessageStatus::Queued, owner)).await;
    let processing = adapters.stored(message_of(instance, MessageStatus::Queued, owner)).await;
    adapters.messages.claim(processing.id, owner, at(1)).await.unwrap().unwrap();
    let timed = adapters.stored(message_of(instance, MessageStatus::Queued, owner)).await;
    let claimed = adapters.messages.claim(timed.id, owner, at(1)).await.unwrap().unwrap().message;
    assert!(adapters.messages.record(&outcome(&claimed, retry(60))).await.unwrap());
    [
        adapters.now(&pending).await,
        adapters.now(&waiting).await,
        adapters.now(&processing).await,
        adapters.now(&timed).await,
    ]
}

/// One that was sent, one that failed and one that was cancelled.
async fn one_of_every_end(adapters: &Adapters, instance: &Instance, owner: NodeId) -> [Message; 3] {
    let mut ended = Vec::new();
    for next in [sent(), failed()] {
        let pending = adapters.stored(message_of(instance, MessageStatus::Pending, owner)).await;
        assert!(adapters.messages.record(&outcome(&pending, next)).await.unwrap());
        ended.push(adapters.now(&pending).await);
    }
    let cancelled = message_of(instance, MessageStatus::Cancelled, owner);
    ended.push(adapters.stored(cancelled).await);
    ended.try_into().unwrap()
}

/// Everything that looks with this reach find.
async fn found(stores: &Stores, instances: &[InstanceId], reach: u32) -> BTreeSet<(InstanceId, MessageId)> {
    let (mut all, mut place) = (BTreeSet::new(), Some(Position::default()));
    while let Some(after) = place {
        let OpenMessages { found, next } =
            stores.deleted_instances.open_messages(instances, &after, reach).await.unwrap();
        assert!(found.len() <= reach as usize);
        let before = all.len();
        all.extend(found.iter().copied());
        assert_eq!(all.len(), before + found.len(), "found twice");
        assert_ne!(next.as_ref(), Some(&after), "it does not go on");
        place = next;
    }
    all
}

async fn what_is_open_of_some_instances_is_found(adapters: &Adapters) {
    let owners = [node(), node()];
    let instances = [stored(adapters, "a").await, stored(adapters, "b").await, stored(adapters, "c").await];
    let mut expected = BTreeSet::new();
    for (number, instance) in instances.iter().enumerate() {
        for owner in owners {
            let open = one_of_every_kind(adapters, instance, owner).await;
            one_of_every_end(adapters, instance, owner).await;
            expected.extend(open.iter().filter(|_| number < 2).map(|message| (instance.id, message.id)));
        }
    }
    // The relay has it at once, and nobody looks for it.
    adapters.stored(Message { node: None, ..message_of(&instances[0], MessageStatus::Queued, owners[0]) }).await;
    let asked = [instances[0].id, instances[1].id];
    assert_eq!(found(adapters, &asked, 100).await, expected);
    assert_eq!(found(adapters, &[InstanceId(node().0)], 100).await, BTreeSet::new());
    assert_eq!(found(adapters, &[], 100).await, BTreeSet::new());
}

async fn a_look_is_bounded_and_the_next_goes_on_where_it_ended(adapters: &Adapters) {
    let (doomed, other) = (stored(adapters, "a").await, stored(adapters, "b").await);
    let mut expected = BTreeSet::new();
    for _ in 0..3 {
        let owner = node();
        for message in one_of_every_kind(adapters, &doomed, owner).await {
            expected.insert((doomed.id, message.id));
        }
        one_of_every_kind(adapters, &other, owner).await;
    }
    for reach in [1, 2, 3, 5, 8, 24] {
        assert_eq!(found(adapters, &[doomed.id], reach).await, expected, "{reach}");
    }
    // What others have counts for the bound, too.
    let first =
        adapters.deleted_instances.open_messages(&[doomed.id, other.id], &Position::default(), 5).await.unwrap();
    assert_eq!(first.found.len(), 5);
    let first = adapters.deleted_instances.open_messages(&[doomed.id], &Position::default(), 18).await.unwrap();
    assert!(first.found.len() < 18 && first.next.is_some());
}

async fn what_is_open_fails_with_its_reason(adapters: &Adapters) {
    let doomed = stored(adapters, "a").await;
    let open = one_of_every_kind(adapters, &doomed, node()).await;
    let failed =
        adapters.deleted_instances.fail(&[doomed.id], &ids(&open), "it was deleted", Some(at(15)), at(20)).await;
    assert_eq!(failed.unwrap(), 4);
    for (message, tries) in open.iter().zip([1, 1, 1, 2]) {
        let (now, attempts) = adapters.search.find(&message.tenant, message.id).await.unwrap().unwrap();
        // The one try of a `pending` message is counted when it is accepted.
        // What is being delivered may get there all the same.
        let is_under_way = message.status != MessageStatus::Queued;
        let (failure, told, reason) = match is_under_way {
            true => (FailureKind::Unknown, AttemptOutcome::Unknown, "it was deleted It may have been delivered."),
            false => (FailureKind::Channel, AttemptOutcome::Permanent, "it was deleted"),
        };
        assert_eq!((now.status, now.failure), (MessageStatus::Failed, Some(failure)));
        assert_eq!((now.try_number, now.tries), (tries, tries));
        assert_eq!((now.dead_lettered_at, now.next_attempt_at, now.updated_at), (Some(at(15)), None, at(20)));
        assert_eq!(now.error.as_deref(), Some(reason));
        let last = attempts.last().unwrap();
        assert_eq!((last.number, last.outcome), (tries, Some(told)));
        assert_eq!((last.error.as_deref(), last.finished_at), (Some(reason), Some(at(20))));
    }
}

async fn what_is_at_an_end_and_what_is_anothers_stays_as_it_is(adapters: &Adapters) {
    let (doomed, other, owner) = (stored(adapters, "a").await, stored(adapters, "b").await, node());
    let mut spared = one_of_every_end(adapters, &doomed, owner).await.to_vec();
    spared.extend(one_of_every_kind(adapters, &other, owner).await);
    spared.extend(one_of_every_end(adapters, &other, owner).await);
    let mut asked = ids(&spared);
    asked.push(MessageId(node().0));
    for messages in [&asked[..], &[]] {
        let failed = adapters.deleted_instances.fail(&[doomed.id], messages, "deleted", None, at(20)).await;
        assert_eq!(failed.unwrap(), 0);
    }
    assert_eq!(adapters.deleted_instances.fail(&[], &asked, "deleted", None, at(20)).await.unwrap(), 0);
    for message in spared {
        assert_eq!(format!("{:?}", adapters.now(&message).await), format!("{message:?}"));
    }
}

async fn a_late_outcome_of_a_failed_message_loses(adapters: &Adapters) {
    let (doomed, owner) = (stored(adapters, "a").await, node());
    let pending = adapters.stored(message_of(&doomed, MessageStatus::Pending, owner)).await;
    let queued = adapters.stored(message_of(&doomed, MessageStatus::Queued, owner)).await;
    let claimed = adapters.messages.claim(queued.id, owner, at(1)).await.unwrap().unwrap().message;
    let both = [pending.id, claimed.id];
    assert_eq!(adapters.deleted_instances.fail(&[doomed.id], &both, "deleted", None, at(20)).await.unwrap(), 2);
    for late in [pending, claimed] {
        assert!(!adapters.messages.take_along(&late.guard(), node(), at(25)).await.unwrap());
        assert!(!adapters.messages.record(&outcome(&late, sent())).await.unwrap());
        assert_eq!(adapters.now(&late).await.status, MessageStatus::Failed);
    }
}

async fn what_failed_owes_its_record_unless_told_otherwise(adapters: &Adapters) {
    let owner = node();
    let mut owing = Vec::new();
    for (name, dead_lettered_at) in [("a", None), ("b", Some(at(20)))] {
        let doomed = stored(adapters, name).await;
        let mut both = Vec::new();
        for status in [MessageStatus::Pending, MessageStatus::Queued] {
            both.push(adapters.stored(message_of(&doomed, status, owner)).await.id);
        }
        let failed = adapters.deleted_instances.fail(&[doomed.id], &both, "deleted", dead_lettered_at, at(20)).await;
        assert_eq!(failed.unwrap(), 2);
        owing.extend(both.into_iter().filter(|_| dead_lettered_at.is_none()));
    }
    let owed = adapters.owed_dead_letters.owed(owner, None, &[], 10).await.unwrap();
    assert_eq!(ids(&owed), owing);
}

async fn failed_in_several_places_at_once_every_message_is_counted_once(adapters: &Adapters) {
    let doomed = stored(adapters, "a").await;
    let messages = ids(&queued(adapters, &doomed, node(), 120).await);
    let (messages, doomed) = (&messages, &[doomed.id][..]);
    let fail = |process: usize| async move {
        let mut failed = 0;
        // Each begins elsewhere, and comes by all of them twice.
        for portion in (0..12).map(|number| (number + process * 2) % 6) {
            let some = &messages[portion * 20..(portion + 1) * 20];
            let stores = &adapters.of_process(process).deleted_instances;
            failed += stores.fail(doomed, some, "deleted", None, at(20)).await.unwrap();
        }
        failed
    };
    assert_eq!(join_all((0..4).map(fail)).await.into_iter().sum::<u64>(), 120);
    for id in messages {
        let now = adapters.messages.find(*id).await.unwrap().unwrap();
        assert_eq!((now.status, now.try_number, now.tries), (MessageStatus::Failed, 1, 1));
    }
}

async fn failed_while_others_write_every_message_ends_once(adapters: &Adapters) {
    let (doomed, owner) = (stored(adapters, "a").await, adapters.live_node().await);
    let messages = queued(adapters, &doomed, owner, 60).await;
    let all = ids(&messages);
    let delivering = join_all(all.iter().enumerate().map(|(number, id)| async move {
        let Some(claimed) = adapters.messages.claim(*id, owner, at(1)).await.unwrap() else { return false };
        let next = if number % 2 == 0 { sent() } else { retry(60) };
        adapters.messages.record(&outcome(&claimed.message, next)).await.unwrap() && number % 2 == 0
    }));
    let failing = async {
        let (instances, mut failed) = ([doomed.id], 0);
        for portion in all.chunks(7) {
            let beside = &adapters.of_process(1).deleted_instances;
            failed += beside.fail(&instances, portion, "deleted", Some(at(20)), at(20)).await.unwrap();
        }
        failed
    };
    let (delivered, failed) = join(delivering, failing).await;
    let rest = adapters.deleted_instances.fail(&[doomed.id], &all, "deleted", Some(at(20)), at(20)).await.unwrap();
    let sent = delivered.into_iter().filter(|is_sent| *is_sent).count() as u64;
    assert_eq!(sent + failed + rest, 60);
    for message in messages {
        let (now, attempts) = adapters.search.find(&message.tenant, message.id).await.unwrap().unwrap();
        assert!(matches!(now.status, MessageStatus::Sent | MessageStatus::Failed), "{}", now.status);
        let numbers: BTreeSet<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers.len(), attempts.len());
        // A first try that succeeded is told by the message alone.
        if now.status == MessageStatus::Failed {
            assert_eq!(numbers.last(), Some(&now.try_number));
        }
    }
}
