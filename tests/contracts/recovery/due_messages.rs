use std::collections::HashSet;
use std::sync::Arc;

use correio::application::ports::{Duties, Take};
use correio::domain::message::{Content, Guard, MessageStatus};
use correio::domain::node::NodeId;
use futures::future::join_all;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{self, AT_ONCE, LARGE, at, large, message, node, outcome, sent, spent, take};

on_every_adapter![
    a_timed_message_is_due_when_its_time_has_come_whoever_owned_it,
    a_live_nodes_messages_are_left_alone,
    what_a_gone_node_owned_is_due_in_every_open_state,
    what_merely_waits_is_not_due_while_its_process_has_another_name,
    what_an_unknown_node_owned_is_due,
    what_nobody_owns_is_due,
    of_a_node_that_left_only_what_it_was_delivering_is_due,
    what_nobody_consumes_is_due_if_it_is_queued,
    what_is_held_is_passed_over,
    a_limit_takes_those_due_longest,
    what_is_of_full_instances_comes_beside_the_others,
    equals_are_taken_in_order_of_id,
    a_take_is_bounded_in_bytes_and_the_rest_comes_next_in_order,
    what_is_taken_without_content_has_none_and_is_not_bounded_by_it,
    what_was_taken_is_queued_and_its_takers,
    takers_at_once_get_different_messages,
    a_node_that_registered_before_it_accepted_is_never_unknown,
    unknown_nodes_are_found_wherever_their_names_lie,
    what_has_ended_is_never_due,
    in_delivery_lists_what_these_nodes_are_delivering,
    giving_back_makes_due_and_asks_the_guard,
    making_due_asks_for_the_owner_and_the_state,
    of_many_those_are_made_due_that_wait_and_are_their_nodes,
    those_who_make_due_at_once_in_any_order_do_not_block_each_other,
];

const OPEN: [MessageStatus; 3] = MessageStatus::OPEN;

async fn a_timed_message_is_due_when_its_time_has_come_whoever_owned_it(adapters: &Adapters) {
    let (alive, gone, taker) = (adapters.live_node().await, node(), adapters.live_node().await);
    let first = adapters.timed(alive, 60).await;
    let second = adapters.timed(gone, 61).await;
    let early = Take { gone: vec![gone], unconsumed: true, departed: vec![alive], ..take(taker, 59) };
    assert_eq!(adapters.taken(&early).await, []);
    assert_eq!(adapters.taken(&take(taker, 60)).await, [first.id]);
    assert_eq!(adapters.taken(&take(taker, 61)).await, [second.id]);
}

async fn a_live_nodes_messages_are_left_alone(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    for status in OPEN {
        adapters.open(status, alive).await;
    }
    assert_eq!(adapters.taken(&take(taker, 1_000_000)).await, []);
    assert_eq!(adapters.taken(&take(alive, 1_000_000)).await, []);
}

async fn what_a_gone_node_owned_is_due_in_every_open_state(adapters: &Adapters) {
    let (gone, taker) = (adapters.live_node().await, adapters.live_node().await);
    let mut expected = Vec::new();
    for status in OPEN {
        expected.push(adapters.open(status, gone).await.id);
    }
    assert_eq!(adapters.taken(&Take { gone: vec![gone], ..take(taker, 5) }).await, expected);
}

async fn what_merely_waits_is_not_due_while_its_process_has_another_name(adapters: &Adapters) {
    let (gone, taker) = (adapters.live_node().await, adapters.live_node().await);
    let [pending, queued, processing] =
        [adapters.open(OPEN[0], gone).await, adapters.open(OPEN[1], gone).await, adapters.open(OPEN[2], gone).await];
    assert_eq!(OPEN[1], MessageStatus::Queued);
    let renamed = Take { gone: vec![gone], succeeded: vec![gone], ..take(taker, 5) };
    assert_eq!(adapters.taken(&renamed).await, [pending.id, processing.id]);
    assert_eq!(adapters.taken(&renamed).await, []);
    // Lost in Kafka, or consumed by nobody, it is due all the same.
    let held = vec![pending.id, processing.id];
    let lost = Take { lost_before: Some(at(1_000_000)), held: held.clone(), ..renamed.clone() };
    assert_eq!(adapters.taken(&lost).await, [queued.id]);
    let second = adapters.open(MessageStatus::Queued, gone).await;
    let held = [held, vec![queued.id]].concat();
    assert_eq!(adapters.taken(&Take { unconsumed: true, held, ..renamed.clone() }).await, [second.id]);
    let third = adapters.open(MessageStatus::Queued, gone).await;
    assert_eq!(adapters.taken(&renamed).await, []);
    assert_eq!(adapters.taken(&Take { succeeded: vec![], ..renamed }).await, [third.id]);
}

async fn what_an_unknown_node_owned_is_due(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    let mut expected = Vec::new();
    for status in OPEN {
        adapters.open(status, alive).await;
        expected.push(adapters.open(status, node()).await.id);
    }
    assert_eq!(adapters.taken(&take(taker, 5)).await, expected);
}

async fn what_nobody_owns_is_due(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let mut nobodys = message(MessageStatus::Queued, taker);
    nobodys.node = None;
    adapters.stored(nobodys.clone()).await;
    assert_eq!(adapters.taken(&take(taker, 5)).await, [nobodys.id]);
}

async fn of_a_node_that_left_only_what_it_was_delivering_is_due(adapters: &Adapters) {
    let (left, taker) = (adapters.live_node().await, adapters.live_node().await);
    adapters.open(MessageStatus::Queued, left).await;
    let pending = adapters.open(MessageStatus::Pending, left).await.id;
    let processing = adapters.open(MessageStatus::Processing, left).await.id;
    assert_eq!(adapters.taken(&Take { departed: vec![left], ..take(taker, 5) }).await, [pending, processing]);
}

async fn what_nobody_consumes_is_due_if_it_is_queued(adapters: &Adapters) {
    let (alive, taker) = (adapters.live_node().await, adapters.live_node().await);
    let queued = adapters.open(MessageStatus::Queued, alive).await.id;
    adapters.open(MessageStatus::Pending, alive).await;
    adapters.open(MessageStatus::Processing, alive).await;
    let own = adapters.open(MessageStatus::Queued, taker).await.id;
    assert_eq!(adapters.taken(&Take { unconsumed: true, ..take(taker, 5) }).await, [queued, own]);
}

async fn what_is_held_is_passed_over(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let timed = adapters.timed(taker, 5).await.id;
    let orphan = adapters.open(MessageStatus::Queued, node()).await.id;
    let mut nobodys = message(MessageStatus::Queued, taker);
    nobodys.node = None;
    let nobodys = adapters.stored(nobodys).await.id;
    let held = Take { held: vec![timed, orphan, nobodys], ..take(taker, 60) };
    assert_eq!(adapters.taken(&held).await, []);
    // A limit counts what is taken, not what is passed over.
    let one = Take { held: vec![timed, orphan], limit: 1, ..take(taker, 60) };
    assert_eq!(adapters.taken(&one).await, [nobodys]);
}

async fn a_limit_takes_those_due_longest(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let (third, first, second) =
        (adapters.timed(taker, 30).await.id, adapters.timed(taker, 10).await.id, adapters.timed(taker, 20).await.id);
    assert_eq!(adapters.taken(&Take { limit: 2, ..take(taker, 100) }).await, [first, second]);
    assert_eq!(adapters.taken(&Take { limit: 2, ..take(taker, 100) }).await, [third]);
}

async fn what_is_of_full_instances_comes_beside_the_others(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let full = given::instance("acme", "full");
    adapters.instances.insert(&full).await.unwrap();
    let mut of_full = Vec::new();
    for due in 0..6 {
        let message = adapters.stored(given::message_of(&full, MessageStatus::Queued, taker)).await;
        adapters.messages.defer(&given::deferral(message.id, due)).await.unwrap();
        of_full.push(message.id);
    }
    let (first, second) = (adapters.timed(taker, 11).await.id, adapters.timed(taker, 20).await.id);
    // Nothing is passed over: what is further away than both limits together waits for the next look.
    let look = Take { limit: 1, full: vec![full.id], limit_of_full: 4, ..take(taker, 100) };
    assert_eq!(adapters.taken(&look).await, of_full[..4]);
    assert_eq!(adapters.taken(&look).await, [of_full[4], of_full[5], first]);
    assert_eq!(adapters.taken(&look).await, [second]);
}

async fn equals_are_taken_in_order_of_id(adapters: &Adapters) {
    let (taker, gone) = (adapters.live_node().await, [node(), node()]);
    let mut orphans = Vec::new();
    for number in 0..6 {
        orphans.push(adapters.open(OPEN[number % 3], gone[number % 2]).await.id);
    }
    assert_eq!(adapters.taken(&Take { limit: 4, ..take(taker, 5) }).await, orphans[..4]);
    assert_eq!(adapters.taken(&Take { limit: 4, ..take(taker, 5) }).await, orphans[4..]);

    let mut timed = Vec::new();
    for _ in 0..3 {
        timed.push(adapters.timed(taker, 20).await.id);
    }
    assert_eq!(adapters.taken(&take(taker, 20)).await, timed);
}

async fn a_take_is_bounded_in_bytes_and_the_rest_comes_next_in_order(adapters: &Adapters) {
    let (taker, gone) = (adapters.live_node().await, node());
    let mut orphans = Vec::new();
    for mebibytes in LARGE {
        orphans.push(adapters.stored(large(MessageStatus::Queued, gone, mebibytes)).await.id);
    }
    let mut due = orphans.as_slice();
    for count in AT_ONCE {
        let (expected, rest) = due.split_at(count);
        assert_eq!(adapters.taken(&take(taker, 5)).await, expected);
        due = rest;
    }
    assert_eq!(adapters.taken(&take(taker, 5)).await, []);
}

async fn what_is_taken_without_content_has_none_and_is_not_bounded_by_it(adapters: &Adapters) {
    let (taker, gone) = (adapters.live_node().await, node());
    let mut orphans = Vec::new();
    for mebibytes in LARGE {
        orphans.push(adapters.stored(large(MessageStatus::Queued, gone, mebibytes)).await);
    }
    let taken = adapters.due.take(&Take { with_content: false, ..take(taker, 5) }).await.unwrap();
    assert_eq!(taken.len(), orphans.len());
    for (orphan, taken) in orphans.iter().zip(&taken) {
        assert_eq!((taken.id, &taken.content, &taken.flaw), (orphan.id, &Content::default(), &None));
        assert_eq!(adapters.now(orphan).await.content, orphan.content);
    }
}

async fn what_was_taken_is_queued_and_its_takers(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let orphan = adapters.open(MessageStatus::Processing, node()).await;
    let timed = adapters.timed(taker, 20).await;
    for (was, taken) in [&orphan, &timed].into_iter().zip(adapters.due.take(&take(taker, 20)).await.unwrap()) {
        assert_eq!((taken.id, taken.status, taken.node), (was.id, MessageStatus::Queued, Some(taker)));
        assert_eq!((taken.next_attempt_at, taken.updated_at), (None, at(20)));
        assert_eq!((taken.try_number, taken.tries), (1, 1));
        assert_eq!(format!("{taken:?}"), format!("{:?}", adapters.now(was).await));
    }
    assert_eq!(adapters.taken(&take(taker, 20)).await, []);
    assert!(!adapters.messages.record(&outcome(&orphan, sent())).await.unwrap());
}

async fn takers_at_once_get_different_messages(adapters: &Adapters) {
    let mut expected = HashSet::new();
    for number in 0..60 {
        expected.insert(match number % 2 {
            0 => adapters.open(MessageStatus::Queued, node()).await.id,
            _ => adapters.timed(node(), 20).await.id,
        });
    }
    let mut takers = Vec::new();
    for number in 0..6 {
        let (due, taker) = (Arc::clone(&adapters.of_process(number).due), adapters.live_node().await);
        takers.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..10 {
                taken.extend(due.take(&Take { limit: 7, ..take(taker, 30) }).await.unwrap());
            }
            taken
        }));
    }
    let mut taken: Vec<_> = join_all(takers).await.into_iter().flat_map(Result::unwrap).map(|it| it.id).collect();
    taken.extend(adapters.taken(&take(adapters.live_node().await, 30)).await);
    assert_eq!(taken.len(), expected.len());
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), expected);
}

async fn a_node_that_registered_before_it_accepted_is_never_unknown(adapters: &Adapters) {
    let taker = adapters.live_node().await;
    let due = Arc::clone(&adapters.of_process(1).due);
    let taking = tokio::spawn(async move {
        let mut taken = 0;
        for _ in 0..60 {
            taken += due.take(&take(taker, 30)).await.unwrap().len();
        }
        taken
    });
    for _ in 0..30 {
        let newcomer = adapters.live_node().await;
        adapters.open(MessageStatus::Pending, newcomer).await;
    }
    assert_eq!(taking.await.unwrap(), 0);
}

async fn unknown_nodes_are_found_wherever_their_names_lie(adapters: &Adapters) {
    let known = [5, 6, 9].map(|number| NodeId(Uuid::from_u128(number << 100)));
    for node in known {
        adapters.nodes.register(node, node, Duties::default(), at(0)).await.unwrap();
    }
    let taker = known[1];
    let mut expected = Vec::new();
    for number in [0, 1, 5, 6, 7, 8, 9, 10, u128::MAX] {
        let owner = NodeId(Uuid::from_u128(if number == u128::MAX { number } else { number << 100 }));
        for status in OPEN {
            let open = adapters.open(status, owner).await.id;
            expected.extend((!known.contains(&owner)).then_some(open));
        }
    }
    assert_eq!(adapters.taken(&take(taker, 5)).await, expected);
}

async fn what_has_ended_is_never_due(adapters: &Adapters) {
    let (gone, taker) = (node(), adapters.live_node().await);
    let claimed = adapters.open(MessageStatus::Processing, gone).await;
    adapters.messages.record(&outcome(&claimed, sent())).await.unwrap();
    let all = Take { gone: vec![gone], departed: vec![gone], unconsumed: true, ..take(taker, 1_000_000) };
    assert_eq!(adapters.taken(&all).await, []);
}

async fn in_delivery_lists_what_these_nodes_are_delivering(adapters: &Adapters) {
    let (mine, before, other) = (node(), node(), node());
    adapters.open(MessageStatus::Queued, mine).await;
    adapters.timed(mine, 60).await;
    adapters.open(MessageStatus::Processing, other).await;
    let pending = adapters.open(MessageStatus::Pending, mine).await;
    let processing = adapters.open(MessageStatus::Processing, before).await;
    let listed = adapters.due.in_delivery(&[mine, before]).await.unwrap();
    assert_eq!(listed.iter().collect::<Vec<_>>(), [&pending.guard(), &processing.guard()]);
    assert_eq!(adapters.due.in_delivery(&[]).await.unwrap(), []);
}

async fn giving_back_makes_due_and_asks_the_guard(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let pending = adapters.open(MessageStatus::Pending, owner).await;
    let processing = adapters.open(MessageStatus::Processing, owner).await;
    let right = processing.guard();
    let wrong = [
        Guard { node: Some(node()), ..right },
        Guard { node: None, ..right },
        Guard { try_number: right.try_number + 1, ..right },
        Guard { status: MessageStatus::Pending, ..right },
        adapters.open(MessageStatus::Queued, owner).await.guard(),
    ];
    assert_eq!(adapters.due.give_back(&wrong.map(spent), at(20)).await.unwrap(), 0);
    assert_eq!(adapters.due.give_back(&[], at(20)).await.unwrap(), 0);
    assert_eq!(adapters.due.give_back(&[right, pending.guard(), wrong[2]].map(spent), at(20)).await.unwrap(), 2);
    assert_eq!(adapters.due.give_back(&[spent(right)], at(20)).await.unwrap(), 0);
    let now = adapters.now(&processing).await;
    assert_eq!((now.status, now.next_attempt_at), (MessageStatus::Queued, Some(at(20))));
    assert_eq!((now.node, now.try_number), (Some(owner), 1));
    assert_eq!(adapters.taken(&take(owner, 20)).await, [pending.id, processing.id]);
}

async fn making_due_asks_for_the_owner_and_the_state(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    for status in [MessageStatus::Pending, MessageStatus::Queued] {
        let message = adapters.open(status, owner).await;
        assert_eq!(adapters.due.make_due(&[(message.id, node())], at(20)).await.unwrap(), 0);
        assert_eq!(adapters.due.make_due(&[(message.id, owner)], at(20)).await.unwrap(), 1);
        assert_eq!(adapters.due.make_due(&[(message.id, owner)], at(30)).await.unwrap(), 0);
        let now = adapters.now(&message).await;
        assert_eq!((now.status, now.next_attempt_at), (MessageStatus::Queued, Some(at(20))));
    }
    let processing = adapters.open(MessageStatus::Processing, owner).await;
    let timed = adapters.timed(owner, 60).await;
    for message in [&processing, &timed] {
        assert_eq!(adapters.due.make_due(&[(message.id, owner)], at(20)).await.unwrap(), 0);
    }
    assert_eq!(adapters.now(&timed).await.next_attempt_at, Some(at(60)));
}

async fn of_many_those_are_made_due_that_wait_and_are_their_nodes(adapters: &Adapters) {
    let (mine, before, other) = (adapters.live_node().await, adapters.live_node().await, adapters.live_node().await);
    let queued = adapters.open(MessageStatus::Queued, mine).await;
    let pending = adapters.open(MessageStatus::Pending, before).await;
    let processing = adapters.open(MessageStatus::Processing, mine).await;
    let timed = adapters.timed(mine, 60).await;
    let theirs = adapters.open(MessageStatus::Queued, other).await;
    // Both of the nodes are asked for, but not this one's.
    let swapped = adapters.open(MessageStatus::Queued, mine).await;
    let unknown = message(MessageStatus::Queued, mine);
    let not_asked = adapters.open(MessageStatus::Queued, mine).await;
    let left_alone = [processing, timed, theirs, swapped, not_asked];
    let pairs = [
        (left_alone[3].id, before),
        (pending.id, before),
        (left_alone[0].id, mine),
        (unknown.id, mine),
        (left_alone[1].id, mine),
        (left_alone[2].id, mine),
        (queued.id, mine),
    ];
    assert_eq!(adapters.due.make_due(&pairs, at(20)).await.unwrap(), 2);
    for (message, owner) in [(&queued, mine), (&pending, before)] {
        let now = adapters.now(message).await;
        assert_eq!((now.status, now.node), (MessageStatus::Queued, Some(owner)));
        assert_eq!((now.next_attempt_at, now.updated_at), (Some(at(20)), at(20)));
    }
    for message in &left_alone {
        assert_eq!(format!("{:?}", adapters.now(message).await), format!("{message:?}"));
    }
    assert_eq!(adapters.due.make_due(&[], at(20)).await.unwrap(), 0);
}

async fn those_who_make_due_at_once_in_any_order_do_not_block_each_other(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let mut pairs = Vec::new();
    for _ in 0..200 {
        pairs.push((adapters.open(MessageStatus::Queued, owner).await.id, owner));
    }
    let backwards: Vec<_> = pairs.iter().rev().copied().collect();
    let making =
        (0..6).map(|number| adapters.of_process(number).due.make_due([&pairs, &backwards][number % 2], at(20)));
    assert_eq!(join_all(making).await.into_iter().map(Result::unwrap).sum::<u64>(), 200);
}
