//! `DueMessages`, of what was put off because its instance could not be called.

use std::time::Duration;

use correio::application::ports::{Position, Recall, Retimed};
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::deferral::{Deferral, RECIPIENT_WAITS};
use correio::domain::message::{Message, MessageId, MessageStatus};

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message_of, node, outcome, retry, take};

on_every_adapter![
    what_waits_for_its_instance_is_due_when_that_is_back,
    what_waits_for_something_else_waits_on,
    a_recall_is_bounded_and_goes_on_where_it_ended,
];

async fn queued(adapters: &Adapters, instance: &Instance) -> Message {
    adapters.stored(message_of(instance, MessageStatus::Queued, node())).await
}

/// Put off for so long, as an instance that is off has it.
async fn put_off(adapters: &Adapters, instance: &Instance, seconds: i64) -> MessageId {
    put_off_for(adapters, instance, seconds, ("The instance is not connected.", true)).await
}

async fn put_off_for(adapters: &Adapters, of: &Instance, seconds: i64, reason: (&str, bool)) -> MessageId {
    let id = queued(adapters, of).await.id;
    let (reason, is_undeliverable) = (reason.0.to_owned(), reason.1);
    let (pause, not_before) = (Some(Duration::ZERO), Some(at(seconds)));
    let deferral = Deferral { id, pause, not_before, reason, is_undeliverable, is_paced: false, now: at(0) };
    adapters.messages.defer(&deferral).await.unwrap();
    id
}

fn recall(instances: &[InstanceId], reach: u32) -> Recall {
    Recall { instances: instances.to_vec(), after: Position::default(), reach, now: at(20) }
}

async fn waits_until(adapters: &Adapters, id: MessageId) -> i64 {
    let message = adapters.messages.find(id).await.unwrap().unwrap();
    assert_eq!(message.status, MessageStatus::Queued);
    (message.next_attempt_at.unwrap() - at(0)).num_seconds()
}

async fn what_waits_for_its_instance_is_due_when_that_is_back(adapters: &Adapters) {
    let (shop, other) = (instance("acme", "shop"), instance("acme", "other"));
    let first = put_off(adapters, &shop, 300).await;
    let behind = put_off_for(adapters, &shop, 300, (RECIPIENT_WAITS, false)).await;
    let elsewhere = put_off(adapters, &other, 300).await;
    assert_eq!(adapters.due.recall(&recall(&[shop.id], 100)).await.unwrap(), Retimed { written: 2, next: None });
    assert_eq!([waits_until(adapters, first).await, waits_until(adapters, behind).await], [20, 20]);
    assert_eq!(waits_until(adapters, elsewhere).await, 300);
    let message = adapters.messages.find(first).await.unwrap().unwrap();
    assert_eq!((message.deferrals, message.tries, message.updated_at), (1, 0, at(20)));
    assert!(message.deferred_since.is_some(), "it counts on for UNDELIVERABLE_AFTER");
    assert_eq!(adapters.due.recall(&recall(&[shop.id], 100)).await.unwrap().written, 0);
    // In the order in which they were accepted.
    let mut taken = adapters.taken(&take(node(), 20)).await;
    taken.sort();
    assert_eq!(taken, [first, behind]);
}

async fn what_waits_for_something_else_waits_on(adapters: &Adapters) {
    let shop = instance("acme", "shop");
    let scheduled = Message {
        send_at: Some(at(300)),
        next_attempt_at: Some(at(300)),
        ..message_of(&shop, MessageStatus::Queued, node())
    };
    let scheduled = adapters.stored(scheduled).await.id;
    let claimed = queued(adapters, &shop).await;
    let claimed = adapters.messages.claim(claimed.id, claimed.node.unwrap(), at(1)).await.unwrap().unwrap().message;
    assert!(adapters.messages.record(&outcome(&claimed, retry(300))).await.unwrap());
    let for_a_place = put_off_for(adapters, &shop, 300, ("too many at once", false)).await;
    let untimed = queued(adapters, &shop).await.id;
    let due = put_off(adapters, &shop, 10).await;
    assert_eq!(adapters.due.recall(&recall(&[shop.id], 100)).await.unwrap(), Retimed { written: 0, next: None });
    for id in [scheduled, claimed.id, for_a_place] {
        assert_eq!(waits_until(adapters, id).await, 300);
    }
    assert_eq!(waits_until(adapters, due).await, 10);
    assert_eq!(adapters.messages.find(untimed).await.unwrap().unwrap().next_attempt_at, None);
}

async fn a_recall_is_bounded_and_goes_on_where_it_ended(adapters: &Adapters) {
    let (shop, other) = (instance("acme", "shop"), instance("acme", "other"));
    for second in 0..4 {
        put_off(adapters, &shop, 300 + second).await;
        put_off(adapters, &other, 300 + second).await;
    }
    let mut recall = recall(&[shop.id, InstanceId(crate::support::given::id())], 3);
    let (mut written, mut portions) = (0, 0);
    loop {
        let recalled = adapters.due.recall(&recall).await.unwrap();
        (written, portions) = (written + recalled.written, portions + 1);
        let Some(next) = recalled.next else { break };
        recall.after = next;
    }
    assert_eq!((written, portions), (4, 3));
}
