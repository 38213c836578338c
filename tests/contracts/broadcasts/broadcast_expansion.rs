use std::time::Duration;

use correio::application::ports::TakeBroadcasts;
use correio::domain::broadcast::{Broadcast, BroadcastDraft, BroadcastStatus};
use correio::domain::message::{Message, MessageStatus};
use correio::domain::node::NodeId;
use futures::future::join_all;

use super::{broadcast, chunk, draft, recipients};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, node, outcome, sent};

on_every_adapter![
    a_chunk_moves_the_cursor_and_makes_its_messages_together,
    a_chunk_that_is_made_again_makes_nothing,
    of_those_who_make_the_same_chunk_one_does,
    a_chunk_of_a_paused_broadcast_makes_nothing,
    a_message_that_is_there_stays_as_it_is,
    one_is_taken_by_its_node_or_when_that_is_gone,
    one_begins_when_its_time_has_come,
    recipients_are_read_in_their_order,
    messages_are_counted_as_they_change,
    one_finishes_when_nothing_of_it_is_open,
    each_of_many_has_its_turn,
    what_has_ended_is_forgotten_and_later_deleted,
    the_next_slot_moves_with_the_cursor_and_never_without_it,
    one_that_has_enough_messages_is_passed_over,
];

fn take(node: NodeId, gone: &[NodeId]) -> TakeBroadcasts {
    TakeBroadcasts { node, gone: gone.to_vec(), after: None, limit: 10, enough: (at(15), at(210)) }
}

async fn taken(adapters: &Adapters, take: &TakeBroadcasts) -> Vec<Broadcast> {
    adapters.broadcast_expansion.take(take).await.unwrap()
}

/// Makes all of its messages.
async fn expanded(adapters: &Adapters, broadcast: &Broadcast, node: NodeId) -> Vec<Message> {
    let messages = chunk(adapters.broadcast_expansion.as_ref(), broadcast, 1_000, node).await;
    assert!(adapters.broadcast_expansion.expand(broadcast, &messages, None, at(1)).await.unwrap());
    messages
}

async fn a_chunk_moves_the_cursor_and_makes_its_messages_together(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let broadcast = adapters.broadcast(owner, 5).await;
    let first = chunk(adapters.broadcast_expansion.as_ref(), &broadcast, 3, owner).await;
    assert!(adapters.broadcast_expansion.expand(&broadcast, &first, None, at(1)).await.unwrap());
    let now = adapters.now_is(&broadcast).await;
    assert_eq!((now.cursor, now.status), (3, BroadcastStatus::Expanding));
    let rest = chunk(adapters.broadcast_expansion.as_ref(), &now, 3, owner).await;
    assert!(adapters.broadcast_expansion.expand(&now, &rest, None, at(2)).await.unwrap());
    let now = adapters.now_is(&broadcast).await;
    assert_eq!((now.cursor, now.status), (5, BroadcastStatus::Expanded));
    for message in first.iter().chain(&rest) {
        let stored = adapters.now(message).await;
        assert_eq!((stored.broadcast, stored.status), (Some(broadcast.id), MessageStatus::Queued));
        assert_eq!((stored.next_attempt_at, stored.created_at), (Some(at(1)), at(0)));
        assert_eq!(stored.content.text.unwrap(), format!("Olá, Ana {}", stored.recipient));
    }
}

async fn a_chunk_that_is_made_again_makes_nothing(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let broadcast = adapters.broadcast(owner, 5).await;
    let first = chunk(adapters.broadcast_expansion.as_ref(), &broadcast, 3, owner).await;
    assert!(adapters.broadcast_expansion.expand(&broadcast, &first, None, at(1)).await.unwrap());
    assert!(!adapters.broadcast_expansion.expand(&broadcast, &first, None, at(2)).await.unwrap());
    let listed = adapters.broadcasts.messages(&broadcast, None, 10).await.unwrap();
    assert_eq!((listed.messages.len(), adapters.now_is(&broadcast).await.cursor), (3, 3));
}

async fn of_those_who_make_the_same_chunk_one_does(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let broadcast = adapters.broadcast(owner, 50).await;
    let messages = chunk(adapters.broadcast_expansion.as_ref(), &broadcast, 50, owner).await;
    let making = (0..4).map(|process| {
        let (expansion, broadcast, messages) =
            (&adapters.of_process(process).broadcast_expansion, &broadcast, &messages);
        async move { expansion.expand(broadcast, messages, None, at(1)).await.unwrap() }
    });
    let made = join_all(making).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    assert_eq!(adapters.broadcasts.messages(&broadcast, None, 100).await.unwrap().messages.len(), 50);
}

async fn a_chunk_of_a_paused_broadcast_makes_nothing(adapters: &Adapters) {
    use correio::application::ports::BroadcastChange::{Cancel, Pause};
    let owner = adapters.live_node().await;
    for change in [Pause, Cancel] {
        let broadcast = adapters.broadcast(owner, 5).await;
        let messages = chunk(adapters.broadcast_expansion.as_ref(), &broadcast, 3, owner).await;
        adapters.broadcasts.change(&broadcast.tenant, broadcast.id, change, at(1)).await.unwrap();
        assert!(!adapters.broadcast_expansion.expand(&broadcast, &messages, None, at(2)).await.unwrap());
        assert!(adapters.broadcasts.messages(&broadcast, None, 10).await.unwrap().messages.is_empty());
        assert!(taken(adapters, &take(owner, &[])).await.is_empty());
    }
}

async fn a_message_that_is_there_stays_as_it_is(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let broadcast = adapters.broadcast(owner, 2).await;
    let messages = chunk(adapters.broadcast_expansion.as_ref(), &broadcast, 2, owner).await;
    let known = Message { next_attempt_at: None, ..messages[0].clone() };
    adapters.messages.accept(&known, None).await.unwrap();
    let claimed = adapters.messages.claim(known.id, owner, at(1)).await.unwrap().unwrap();
    assert!(adapters.broadcast_expansion.expand(&broadcast, &messages, None, at(2)).await.unwrap());
    assert_eq!(adapters.now(&known).await.status, claimed.message.status);
    assert_eq!(adapters.now(&messages[1]).await.status, MessageStatus::Queued);
}

async fn one_is_taken_by_its_node_or_when_that_is_gone(adapters: &Adapters) {
    let (owner, other) = (adapters.live_node().await, adapters.live_node().await);
    let broadcast = adapters.broadcast(owner, 5).await;
    assert!(taken(adapters, &take(other, &[])).await.is_empty());
    assert_eq!(taken(adapters, &take(owner, &[])).await, std::slice::from_ref(&broadcast));
    let theirs = taken(adapters, &take(other, &[owner])).await;
    assert_eq!(theirs, [Broadcast { node: Some(other), ..broadcast.clone() }]);
    assert!(taken(adapters, &take(owner, &[])).await.is_empty());
    let of_nobody = adapters.broadcast(node(), 5).await;
    assert_eq!(taken(adapters, &take(owner, &[])).await.iter().map(|it| it.id).collect::<Vec<_>>(), [of_nobody.id]);
}

async fn one_begins_when_its_time_has_come(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let later = BroadcastDraft { send_at: Some(at(60)), ..draft() };
    let broadcast = broadcast("acme", owner, later, 3);
    adapters.broadcasts.accept(&broadcast, &recipients(3), None).await.unwrap();
    assert_eq!(broadcast.status, BroadcastStatus::Scheduled);
    assert!(adapters.broadcast_expansion.is_needed().await.unwrap());
    assert_eq!(adapters.broadcast_expansion.begin_due(at(59)).await.unwrap(), 0);
    assert!(taken(adapters, &take(owner, &[])).await.is_empty());
    assert_eq!(adapters.broadcast_expansion.begin_due(at(60)).await.unwrap(), 1);
    let begun = taken(adapters, &take(owner, &[])).await;
    assert_eq!((begun[0].status, begun[0].ids_at), (BroadcastStatus::Expanding, at(60)));
}

async fn recipients_are_read_in_their_order(adapters: &Adapters) {
    let broadcast = adapters.broadcast(node(), 2_300).await;
    let all = recipients(2_300);
    let mut from = 0;
    while from < 2_300 {
        let read = adapters.broadcast_expansion.recipients(&broadcast, from, 700).await.unwrap();
        assert!(!read.is_empty() && read.len() <= 700);
        let end = from as usize + read.len();
        assert_eq!(read, all[from as usize..end]);
        from = u32::try_from(end).unwrap();
    }
    assert!(adapters.broadcast_expansion.recipients(&broadcast, 2_300, 10).await.unwrap().is_empty());
}

async fn messages_are_counted_as_they_change(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let broadcast = adapters.broadcast(owner, 3).await;
    let messages = expanded(adapters, &broadcast, owner).await;
    let count = async |status| adapters.broadcast_expansion.counts(&broadcast).await.unwrap().of(status);
    assert_eq!(count(MessageStatus::Queued).await, 3);
    let take = crate::support::given::take(owner, 5);
    assert_eq!(adapters.taken(&take).await.len(), 3);
    let claimed = adapters.messages.claim(messages[0].id, owner, at(5)).await.unwrap().unwrap().message;
    assert_eq!((count(MessageStatus::Queued).await, count(MessageStatus::Processing).await), (2, 1));
    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    adapters.broadcast_expansion.finish(at(6)).await.unwrap();
    let standing = adapters.broadcasts.find(&broadcast.tenant, broadcast.id).await.unwrap().unwrap();
    let of = |status| standing.counts.of(status);
    let counts = [MessageStatus::Queued, MessageStatus::Processing, MessageStatus::Sent].map(of);
    assert_eq!((counts, standing.counts.open(), standing.waiting()), ([2, 0, 1], 2, 0));
}

async fn one_finishes_when_nothing_of_it_is_open(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let broadcast = adapters.broadcast(owner, 1).await;
    assert_eq!(adapters.broadcast_expansion.finish(at(1)).await.unwrap(), 0, "it is not expanded");
    let messages = expanded(adapters, &broadcast, owner).await;
    assert_eq!(adapters.broadcast_expansion.finish(at(1)).await.unwrap(), 0, "one is open");
    assert_eq!(adapters.taken(&crate::support::given::take(owner, 5)).await, [messages[0].id]);
    let claimed = adapters.messages.claim(messages[0].id, owner, at(5)).await.unwrap().unwrap().message;
    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    assert_eq!(adapters.broadcast_expansion.finish(at(9)).await.unwrap(), 1);
    let now = adapters.now_is(&broadcast).await;
    assert_eq!((now.status, now.finished_at), (BroadcastStatus::Finished, Some(at(9))));
    assert!(!adapters.broadcast_expansion.is_needed().await.unwrap());
    assert_eq!(adapters.broadcast_expansion.finish(at(10)).await.unwrap(), 0);
}

async fn each_of_many_has_its_turn(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(adapters.broadcast(owner, 1).await.id);
    }
    all.sort_unstable();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let turn = taken(adapters, &TakeBroadcasts { after, limit: 2, ..take(owner, &[]) }).await;
        seen.extend(turn.iter().map(|it| it.id));
        after = turn.last().map(|it| it.id);
        if turn.len() < 2 {
            break;
        }
    }
    assert_eq!(seen, all);
}

async fn what_has_ended_is_forgotten_and_later_deleted(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let (ended, open) = (adapters.broadcast(owner, 3).await, adapters.broadcast(owner, 3).await);
    let (change, long_ago) = (correio::application::ports::BroadcastChange::Cancel, at(-30 * 24 * 60 * 60));
    adapters.broadcasts.change(&ended.tenant, ended.id, change, long_ago).await.unwrap();
    assert_eq!(adapters.broadcasts.unmade(&ended.tenant).await.unwrap(), 3, "of the open one");
    let expansion = &adapters.broadcast_expansion;
    let left = async |of: &Broadcast| expansion.recipients(of, 0, 10).await.unwrap().len();
    expansion.forget(Some(long_ago)).await.unwrap();
    assert_eq!(left(&ended).await, 3, "it ended earlier");
    expansion.forget(None).await.unwrap();
    assert_eq!((left(&ended).await, left(&open).await), (0, 3));
    while adapters.storage.delete_history(Duration::from_secs(60), at(0)).await.unwrap() {}
    assert!(adapters.broadcasts.find(&ended.tenant, ended.id).await.unwrap().is_none());
    assert!(adapters.broadcasts.find(&open.tenant, open.id).await.unwrap().is_some());
}

async fn paced(adapters: &Adapters, node: NodeId) -> Broadcast {
    let twenty_a_minute = BroadcastDraft { rate_per_minute: Some(20), ..draft() };
    let broadcast = broadcast("acme", node, twenty_a_minute, 5);
    adapters.broadcasts.accept(&broadcast, &recipients(5), None).await.unwrap();
    broadcast
}

async fn the_next_slot_moves_with_the_cursor_and_never_without_it(adapters: &Adapters) {
    use correio::application::ports::BroadcastChange::{Pause, Resume};
    let owner = adapters.live_node().await;
    let broadcast = paced(adapters, owner).await;
    let expansion = adapters.broadcast_expansion.as_ref();
    let [slot, next] = [500, 3_500].map(|milliseconds| at(1) + chrono::TimeDelta::milliseconds(milliseconds));
    let of_first = chunk(expansion, &broadcast, 1, owner).await.remove(0);
    let first = [Message { next_attempt_at: Some(slot), ..of_first }];
    assert!(expansion.expand(&broadcast, &first, Some(next), at(1)).await.unwrap());
    let now = adapters.now_is(&broadcast).await;
    assert_eq!((now.cursor, now.paced_at, now.rate_per_minute), (1, Some(next), Some(20)));
    assert_eq!(adapters.now(&first[0]).await.next_attempt_at, Some(slot));
    assert_eq!(adapters.taken(&crate::support::given::take(owner, 1)).await, [], "its slot has not come");
    assert_eq!(adapters.taken(&crate::support::given::take(owner, 2)).await, [first[0].id]);

    let late = chunk(expansion, &broadcast, 1, owner).await;
    assert!(!expansion.expand(&broadcast, &late, Some(at(90)), at(2)).await.unwrap());
    for change in [Pause, Resume] {
        adapters.broadcasts.change(&broadcast.tenant, broadcast.id, change, at(3)).await.unwrap();
        let now = adapters.now_is(&broadcast).await;
        assert_eq!((now.cursor, now.paced_at), (1, Some(next)), "{change:?}");
    }
}

async fn one_that_has_enough_messages_is_passed_over(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let (expansion, mut broadcast) = (adapters.broadcast_expansion.as_ref(), paced(adapters, owner).await);
    assert_eq!(taken(adapters, &take(owner, &[])).await.len(), 1, "nothing of it is made");
    let (from, to) = take(owner, &[]).enough;
    let later = chrono::TimeDelta::milliseconds(1);
    for (next, is_taken) in [(from, true), (from + later, false), (to, false), (to + later, true)] {
        let one = chunk(expansion, &broadcast, 1, owner).await;
        assert!(expansion.expand(&broadcast, &one, Some(next), at(1)).await.unwrap());
        broadcast = adapters.now_is(&broadcast).await;
        let other = adapters.live_node().await;
        assert_eq!(taken(adapters, &take(owner, &[])).await.len(), usize::from(is_taken), "{next}");
        assert!(taken(adapters, &take(other, &[])).await.is_empty(), "it is another's");
    }
}
