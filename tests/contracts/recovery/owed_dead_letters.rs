use correio::application::ports::{Duties, Outcome};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{
    AT_ONCE, LARGE, at, failed, instance, large, message, message_of, node, outcome, retry, sent, take,
};

on_every_adapter![
    a_nodes_failed_messages_owe_their_records_and_no_others,
    what_these_nodes_do_not_own_is_adopted,
    held_messages_are_passed_over_and_the_lowest_ids_come_first,
    what_is_owed_is_bounded_in_bytes_and_the_rest_comes_next,
    settling_writes_the_time_and_nothing_else,
    settling_asks_for_the_state_and_the_try,
    a_replay_comes_before_a_record_that_is_late,
    where_nobody_publishes_the_rows_are_settled_in_order_of_id,
    while_somebody_publishes_no_row_is_settled_without_a_record,
    settled_in_several_places_at_once_every_row_is_counted_once,
];

async fn owed(adapters: &Adapters, node: NodeId, adopting: Option<&[NodeId]>) -> Vec<MessageId> {
    let owed = adapters.owed_dead_letters.owed(node, adopting, &[], 100).await.unwrap();
    owed.iter().map(|message| message.id).collect()
}

async fn owing(adapters: &Adapters, owner: NodeId) -> Message {
    adapters.failed(message(MessageStatus::Queued, owner), None).await
}

async fn a_nodes_failed_messages_owe_their_records_and_no_others(adapters: &Adapters) {
    let mine = node();
    let first = owing(adapters, mine).await;
    for status in MessageStatus::OPEN {
        adapters.open(status, mine).await;
    }
    for next in [sent(), retry(60)] {
        let claimed = adapters.open(MessageStatus::Processing, mine).await;
        assert!(adapters.messages.record(&outcome(&claimed, next)).await.unwrap());
    }
    adapters.failed(message(MessageStatus::Queued, mine), Some(at(10))).await;
    owing(adapters, node()).await;
    let second = owing(adapters, mine).await;

    let owed = adapters.owed_dead_letters.owed(mine, None, &[], 100).await.unwrap();
    assert_eq!(format!("{owed:?}"), format!("{:?}", [first, second]));
    let counted = async |most| adapters.owed_dead_letters.count(most).await.unwrap();
    assert_eq!((counted(100).await, counted(2).await), (3, 2), "whoever owns them");
}

async fn what_these_nodes_do_not_own_is_adopted(adapters: &Adapters) {
    let (mine, alive, gone) = (node(), node(), node());
    let doomed = instance("acme", "hook");
    adapters.instances.insert(&doomed).await.unwrap();
    let mut nobodys = message_of(&doomed, MessageStatus::Queued, mine);
    nobodys.node = None;
    let nobodys = adapters.stored(nobodys).await.id;
    assert_eq!(adapters.deleted_instances.fail(&[doomed.id], &[nobodys], "deleted", None, at(20)).await.unwrap(), 1);
    let own = owing(adapters, mine).await.id;
    let theirs = owing(adapters, alive).await.id;
    let orphan = owing(adapters, gone).await.id;

    assert_eq!(owed(adapters, mine, None).await, [own]);
    assert_eq!(owed(adapters, mine, Some(&[mine, alive])).await, [nobodys, own, orphan]);
    // Its own are its own, whoever is named.
    assert_eq!(owed(adapters, mine, Some(&[alive])).await, [nobodys, own, orphan]);
    assert_eq!(owed(adapters, mine, Some(&[])).await, [nobodys, own, theirs, orphan]);
}

async fn held_messages_are_passed_over_and_the_lowest_ids_come_first(adapters: &Adapters) {
    let (mine, gone) = (node(), node());
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(owing(adapters, [mine, gone][number % 2]).await.id);
    }
    let held = [all[0], all[2]];
    // A limit counts what is returned, not what is passed over.
    let owed = adapters.owed_dead_letters.owed(mine, Some(&[]), &held, 2).await.unwrap();
    assert_eq!(owed.iter().map(|message| message.id).collect::<Vec<_>>(), [all[1], all[3]]);
}

async fn what_is_owed_is_bounded_in_bytes_and_the_rest_comes_next(adapters: &Adapters) {
    let mine = node();
    let mut all = Vec::new();
    for mebibytes in LARGE {
        all.push(adapters.failed(large(MessageStatus::Queued, mine, mebibytes), None).await.id);
    }
    let mut held = Vec::new();
    for count in AT_ONCE {
        let owed = adapters.owed_dead_letters.owed(mine, None, &held, 100).await.unwrap();
        assert_eq!(owed.len(), count);
        held.extend(owed.iter().map(|message| message.id));
    }
    assert_eq!(held, all);
}

async fn settling_writes_the_time_and_nothing_else(adapters: &Adapters) {
    let mine = node();
    let (message, other) = (owing(adapters, mine).await, owing(adapters, mine).await);
    assert!(adapters.owed_dead_letters.mark_paid(message.id, message.try_number, at(30)).await.unwrap());
    let settled = Message { dead_lettered_at: Some(at(30)), ..message.clone() };
    assert_eq!(format!("{:?}", adapters.now(&message).await), format!("{settled:?}"));
    assert_eq!(owed(adapters, mine, None).await, [other.id]);
    // It owes no second one.
    assert!(!adapters.owed_dead_letters.mark_paid(message.id, message.try_number, at(40)).await.unwrap());
    assert_eq!(adapters.now(&message).await.dead_lettered_at, Some(at(30)));
}

async fn settling_asks_for_the_state_and_the_try(adapters: &Adapters) {
    let mine = node();
    let failed = owing(adapters, mine).await;
    for wrong in [failed.try_number - 1, failed.try_number + 1] {
        assert!(!adapters.owed_dead_letters.mark_paid(failed.id, wrong, at(30)).await.unwrap());
    }
    let unknown = message(MessageStatus::Queued, mine);
    assert!(!adapters.owed_dead_letters.mark_paid(unknown.id, 1, at(30)).await.unwrap());
    for status in MessageStatus::OPEN {
        let open = adapters.open(status, mine).await;
        assert!(!adapters.owed_dead_letters.mark_paid(open.id, open.try_number, at(30)).await.unwrap());
        assert_eq!(adapters.now(&open).await.dead_lettered_at, None);
    }
    assert_eq!(owed(adapters, mine, None).await, [failed.id]);
}

async fn a_replay_comes_before_a_record_that_is_late(adapters: &Adapters) {
    let mine = adapters.live_node().await;
    let before = owing(adapters, mine).await;
    adapters.failed.replay(&before.tenant, before.id, at(20)).await.unwrap();
    assert_eq!(owed(adapters, mine, None).await, []);
    assert!(!adapters.owed_dead_letters.mark_paid(before.id, before.try_number, at(30)).await.unwrap());

    adapters.taken(&take(mine, 20)).await;
    let claimed = adapters.messages.claim(before.id, mine, at(21)).await.unwrap().unwrap().message;
    let again = Outcome { dead_lettered_at: None, ..outcome(&claimed, failed()) };
    assert!(adapters.messages.record(&again).await.unwrap());
    assert!(!adapters.owed_dead_letters.mark_paid(before.id, before.try_number, at(30)).await.unwrap());
    assert!(adapters.owed_dead_letters.mark_paid(before.id, claimed.try_number, at(30)).await.unwrap());
}

async fn where_nobody_publishes_the_rows_are_settled_in_order_of_id(adapters: &Adapters) {
    let (mine, other) = (node(), node());
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(owing(adapters, [mine, other][number % 2]).await);
    }
    let told = adapters.failed(message(MessageStatus::Queued, mine), Some(at(10))).await;
    let open = adapters.open(MessageStatus::Processing, mine).await;
    assert_eq!(adapters.owed_dead_letters.write_off(&[], 2, at(30)).await.unwrap(), 2);
    let left: Vec<MessageId> = all[2..].iter().map(|message| message.id).collect();
    assert_eq!(owed(adapters, mine, Some(&[])).await, left);
    let settled = Message { dead_lettered_at: Some(at(30)), ..all[0].clone() };
    assert_eq!(format!("{:?}", adapters.now(&all[0]).await), format!("{settled:?}"));

    assert_eq!(adapters.owed_dead_letters.write_off(&[], 10, at(40)).await.unwrap(), 3);
    assert_eq!(adapters.owed_dead_letters.write_off(&[], 10, at(50)).await.unwrap(), 0);
    for (message, dead_lettered_at) in [(&told, Some(at(10))), (&open, None), (&all[1], Some(at(30)))] {
        assert_eq!(adapters.now(message).await.dead_lettered_at, dead_lettered_at);
    }
}

async fn while_somebody_publishes_no_row_is_settled_without_a_record(adapters: &Adapters) {
    let publisher = node();
    adapters.nodes.register(publisher, publisher, Duties { publishes: true, consumes: false }, at(0)).await.unwrap();
    let failed = owing(adapters, node()).await;
    assert_eq!(adapters.owed_dead_letters.write_off(&[node()], 10, at(30)).await.unwrap(), 0);
    assert_eq!(adapters.now(&failed).await.dead_lettered_at, None);
    assert_eq!(adapters.owed_dead_letters.write_off(&[publisher], 10, at(30)).await.unwrap(), 1);

    owing(adapters, publisher).await;
    assert_eq!(adapters.owed_dead_letters.write_off(&[], 10, at(40)).await.unwrap(), 0);
    assert!(adapters.nodes.leave(publisher, true, at(50)).await.unwrap());
    assert_eq!(adapters.owed_dead_letters.write_off(&[], 10, at(60)).await.unwrap(), 1);
}

async fn settled_in_several_places_at_once_every_row_is_counted_once(adapters: &Adapters) {
    for _ in 0..30 {
        owing(adapters, node()).await;
    }
    let settling = (0..4).map(async |number| {
        let mut settled = 0;
        for _ in 0..20 {
            settled += adapters.of_process(number).owed_dead_letters.write_off(&[], 4, at(30)).await.unwrap();
        }
        settled
    });
    assert_eq!(join_all(settling).await.into_iter().sum::<u64>(), 30);
    assert_eq!(owed(adapters, node(), Some(&[])).await, []);
}
