//! Instances take turns at what is due.

use correio::application::ports::{IN_A_TURN, TURNS_AT_ONCE, Turns};
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{self, at, message_of};

on_every_adapter![
    each_instance_has_one_before_any_has_a_second,
    who_has_had_a_turn_is_not_asked_again_before_the_others,
    what_is_not_due_or_held_or_of_a_full_instance_has_no_turn,
    what_had_its_turn_is_queued_and_its_takers,
    a_look_at_many_instances_is_bounded_and_goes_on,
];

fn turns(taker: NodeId) -> Turns {
    Turns { node: taker, after: None, held: vec![], with_content: true, limit: 100, full: vec![], now: at(100) }
}

/// In order of their ids.
async fn instances(adapters: &Adapters, count: usize) -> Vec<Instance> {
    let mut instances: Vec<_> = (0..count).map(|number| given::instance("acme", &format!("i-{number}"))).collect();
    instances.sort_by_key(|instance| instance.id);
    for instance in &instances {
        adapters.instances.insert(instance).await.unwrap();
    }
    instances
}

/// Those of an instance that are due so many seconds after noon.
async fn due(adapters: &Adapters, owner: NodeId, instance: &Instance, times: &[i64]) -> Vec<MessageId> {
    let mut due = Vec::new();
    for time in times {
        let time = Some(at(*time));
        let message = message_of(instance, MessageStatus::Queued, owner);
        let message = adapters.stored(Message { send_at: time, next_attempt_at: time, ..message }).await;
        due.push(message.id);
    }
    due
}

async fn taken(adapters: &Adapters, turns: &Turns) -> (Vec<MessageId>, Option<InstanceId>) {
    let taken = adapters.due.take_in_turns(turns).await.unwrap();
    (taken.messages.iter().map(|message| message.id).collect(), taken.next)
}

async fn each_instance_has_one_before_any_has_a_second(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let some = instances(adapters, 3).await;
    let backlog = due(adapters, taker, &some[1], &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19]).await;
    let first = due(adapters, taker, &some[0], &[50, 51]).await;
    let last = due(adapters, taker, &some[2], &[40]).await;
    let (five, next) = taken(adapters, &Turns { limit: 5, ..turns(taker) }).await;
    assert_eq!(five, [backlog[0], last[0], first[0], backlog[1], first[1]]);
    assert_eq!(next, None, "all were looked at");
    let (rest, next) = taken(adapters, &turns(taker)).await;
    assert_eq!((rest, next), (backlog[2..].to_vec(), None));
    assert_eq!(backlog.len() - 2, IN_A_TURN as usize);
}

async fn who_has_had_a_turn_is_not_asked_again_before_the_others(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let some = instances(adapters, 4).await;
    let mut all = Vec::new();
    for instance in &some {
        all.push(due(adapters, taker, instance, &[10, 20]).await);
    }
    let (two, next) = taken(adapters, &Turns { limit: 2, ..turns(taker) }).await;
    assert_eq!((two, next), (vec![all[0][0], all[1][0]], Some(some[1].id)));
    let (two, next) = taken(adapters, &Turns { limit: 2, after: next, ..turns(taker) }).await;
    assert_eq!((two, next), (vec![all[2][0], all[3][0]], Some(some[3].id)));
    let (none, next) = taken(adapters, &Turns { limit: 2, after: next, ..turns(taker) }).await;
    assert_eq!((none, next), (vec![], None), "from the first one on again");
    let (two, _) = taken(adapters, &Turns { limit: 2, ..turns(taker) }).await;
    assert_eq!(two, [all[0][1], all[1][1]]);
}

async fn what_is_not_due_or_held_or_of_a_full_instance_has_no_turn(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let some = instances(adapters, 3).await;
    let held = due(adapters, taker, &some[0], &[10, 20]).await;
    due(adapters, taker, &some[1], &[10, 20]).await;
    due(adapters, taker, &some[2], &[101]).await;
    let waiting = adapters.stored(message_of(&some[2], MessageStatus::Queued, taker)).await;
    let asked = Turns { held: held[..1].to_vec(), full: vec![some[1].id], ..turns(taker) };
    assert_eq!(taken(adapters, &asked).await, (vec![held[1]], None));
    assert_eq!(adapters.now(&waiting).await.node, Some(taker));
}

async fn what_had_its_turn_is_queued_and_its_takers(adapters: &Adapters) {
    let (owner, taker) = (adapters.live_node().await, adapters.live_node().await);
    let some = instances(adapters, 1).await;
    let due = due(adapters, owner, &some[0], &[10]).await;
    let with_content = adapters.due.take_in_turns(&turns(taker)).await.unwrap().messages;
    assert_eq!((with_content.len(), with_content[0].id), (1, due[0]));
    assert!(with_content[0].content.bytes() > 0);
    let now = adapters.now(&with_content[0]).await;
    assert_eq!((now.status, now.node, now.next_attempt_at), (MessageStatus::Queued, Some(taker), None));
    assert_eq!((now.updated_at, now.is_unanswered), (at(100), false));
    assert_eq!(taken(adapters, &turns(owner)).await, (vec![], None), "it is not due any more");
}

/// Most have something for a later time only.
async fn a_look_at_many_instances_is_bounded_and_goes_on(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let many = instances(adapters, TURNS_AT_ONCE as usize + 2).await;
    let (last, later) = many.split_last().unwrap();
    for instance in later {
        due(adapters, taker, instance, &[200]).await;
    }
    let due = due(adapters, taker, last, &[10]).await;
    let (none, next) = taken(adapters, &turns(taker)).await;
    assert_eq!((none, next), (vec![], Some(many[TURNS_AT_ONCE as usize - 1].id)));
    assert_eq!(taken(adapters, &Turns { after: next, ..turns(taker) }).await, (due, None));
}
