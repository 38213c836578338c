//! `DueMessages`, of what a broker has lost.

use std::collections::HashSet;
use std::sync::Arc;

use correio::application::ports::Take;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use futures::future::join_all;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, message, node, take};

on_every_adapter![
    what_was_handed_over_before_that_moment_is_lost_whoever_owns_it,
    what_is_younger_or_timed_or_not_queued_or_held_is_not_lost,
    what_was_handed_over_again_is_not_lost,
    what_says_that_it_was_handed_over_tomorrow_is_lost,
    what_a_clock_ahead_accepted_is_lost_like_any_other,
    the_oldest_that_are_lost_come_first,
    what_is_lost_and_due_anyway_is_taken_once,
    what_is_lost_goes_to_one_of_those_who_take_at_once,
];

/// A queued message that was accepted, and handed over, so many seconds after noon: its id says so too.
fn accepted(seconds: i64, owner: NodeId) -> Message {
    let milliseconds = at(seconds).timestamp_millis().cast_unsigned();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, milliseconds / 1_000, 0);
    let id = MessageId(Uuid::new_v7(time));
    Message { id, created_at: at(seconds), updated_at: at(seconds), ..message(MessageStatus::Queued, owner) }
}

/// What a relay asks for that knows of a loss.
fn take_lost(taker: NodeId, lost_before: i64) -> Take {
    Take { lost_before: Some(at(lost_before)), ..take(taker, 1_000) }
}

async fn what_was_handed_over_before_that_moment_is_lost_whoever_owns_it(adapters: &Adapters) {
    let (alive, left, taker) = (adapters.live_node().await, adapters.live_node().await, adapters.live_node().await);
    let mut ids = Vec::new();
    for (seconds, owner) in [(10, alive), (20, taker), (30, left), (99, alive), (100, alive), (101, taker)] {
        ids.push(adapters.stored(accepted(seconds, owner)).await.id);
    }
    assert!(adapters.nodes.leave(left, true, at(40)).await.unwrap());
    assert_eq!(adapters.taken(&take(taker, 1_000)).await, []);
    let lost = Take { departed: vec![left], ..take_lost(taker, 100) };
    assert_eq!(adapters.taken(&lost).await, ids[..4]);
    let now = adapters.messages.find(ids[0]).await.unwrap().unwrap();
    assert_eq!((now.status, now.node), (MessageStatus::Queued, Some(taker)));
    assert_eq!((now.next_attempt_at, now.updated_at), (None, at(1_000)));
    assert_eq!(adapters.taken(&lost).await, []);
}

async fn what_is_younger_or_timed_or_not_queued_or_held_is_not_lost(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    adapters.stored(accepted(200, alive)).await;
    adapters.stored(Message { next_attempt_at: Some(at(2_000)), ..accepted(10, alive) }).await;
    adapters.stored(Message { status: MessageStatus::Pending, ..accepted(10, alive) }).await;
    let processing = adapters.stored(accepted(10, alive)).await;
    adapters.messages.claim(processing.id, alive, at(11)).await.unwrap().unwrap();
    adapters.failed(accepted(10, alive), None).await;
    let held = adapters.stored(accepted(10, alive)).await.id;
    let lost = Take { held: vec![held], ..take_lost(taker, 100) };
    assert_eq!(adapters.taken(&lost).await, []);
    assert_eq!(adapters.taken(&take_lost(taker, 100)).await, [held]);
}

async fn what_was_handed_over_again_is_not_lost(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    let again = adapters.stored(Message { updated_at: at(150), ..accepted(10, alive) }).await.id;
    let lost = adapters.stored(accepted(20, alive)).await.id;
    assert_eq!(adapters.taken(&take_lost(taker, 100)).await, [lost]);
    assert_eq!(adapters.taken(&take_lost(taker, 151)).await, [again]);
}

async fn what_says_that_it_was_handed_over_tomorrow_is_lost(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    const DAY: i64 = 24 * 60 * 60;
    let nonsense = adapters.stored(Message { updated_at: at(1_001 + DAY), ..accepted(10, alive) }).await;
    adapters.stored(Message { updated_at: at(999 + DAY), ..accepted(11, alive) }).await;
    assert_eq!(adapters.taken(&take_lost(taker, 100)).await, [nonsense.id]);
}

/// Its id will be ahead for weeks; what it says of its hand-over may be right.
async fn what_a_clock_ahead_accepted_is_lost_like_any_other(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    const DAY: i64 = 24 * 60 * 60;
    let untouched = adapters.stored(accepted(60 * DAY, alive)).await.id;
    let handed_over = adapters.stored(Message { updated_at: at(10), ..accepted(61 * DAY, alive) }).await.id;
    let recently = adapters.stored(Message { updated_at: at(900), ..accepted(62 * DAY, alive) }).await.id;
    let usual = adapters.stored(accepted(999, alive)).await.id;
    assert_eq!(adapters.taken(&take(taker, 1_000)).await, []);
    assert_eq!(adapters.taken(&take_lost(taker, 100)).await, [untouched, handed_over]);
    assert_eq!(adapters.taken(&take_lost(taker, 901)).await, [recently]);
    assert_eq!(adapters.taken(&take_lost(taker, 1_000)).await, [usual]);
    assert_eq!(adapters.taken(&take_lost(taker, 1_000)).await, []);
}

async fn the_oldest_that_are_lost_come_first(adapters: &Adapters) {
    let (owners, taker) = ([adapters.live_node().await, adapters.live_node().await], adapters.live_node().await);
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.insert(0, adapters.stored(accepted(60 - number, owners[usize::from(number % 2 == 0)])).await.id);
    }
    let lost = Take { limit: 3, held: vec![ids[0], ids[2]], ..take_lost(taker, 100) };
    assert_eq!(adapters.taken(&lost).await, [ids[1], ids[3], ids[4]]);
    assert_eq!(adapters.taken(&Take { held: vec![], ..lost }).await, [ids[0], ids[2], ids[5]]);
}

async fn what_is_lost_and_due_anyway_is_taken_once(adapters: &Adapters) {
    let (alive, gone, taker) = (adapters.live_node().await, adapters.live_node().await, adapters.live_node().await);
    let mut ids = Vec::new();
    for (seconds, owner) in [(10, Some(gone)), (20, None), (30, Some(node())), (40, Some(alive)), (50, Some(alive))] {
        ids.push(adapters.stored(Message { node: owner, ..accepted(seconds, alive) }).await.id);
    }
    let lost = Take { gone: vec![gone], limit: 4, ..take_lost(taker, 100) };
    assert_eq!(adapters.taken(&lost).await, ids[..4]);
    // Handed over by the first take, and not lost any more; but nobody will consume them.
    assert_eq!(adapters.taken(&Take { unconsumed: true, limit: 10, ..lost }).await, ids);
}

async fn what_is_lost_goes_to_one_of_those_who_take_at_once(adapters: &Adapters) {
    let mut expected = HashSet::new();
    for number in 0..60 {
        let owner = adapters.live_node().await;
        expected.insert(adapters.stored(accepted(number, owner)).await.id);
    }
    let mut takers = Vec::new();
    for number in 0..6 {
        let (due, taker) = (Arc::clone(&adapters.of_process(number).due), adapters.live_node().await);
        takers.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..10 {
                taken.extend(due.take(&Take { limit: 7, ..take_lost(taker, 100) }).await.unwrap());
            }
            taken
        }));
    }
    let mut taken: Vec<_> = join_all(takers).await.into_iter().flat_map(Result::unwrap).map(|it| it.id).collect();
    taken.extend(adapters.taken(&take_lost(adapters.live_node().await, 100)).await);
    assert_eq!(taken.len(), expected.len());
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), expected);
}
