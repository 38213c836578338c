use std::time::Duration;

use correio::application::ports::{
    AcceptedBroadcast, BroadcastChange, CancelledMessages, ChangedBroadcast, KeptBroadcast,
};
use correio::domain::broadcast::{Broadcast, BroadcastDraft, BroadcastId, BroadcastStatus};
use correio::domain::group::GroupId;
use correio::domain::message::delivery::FailureKind;
use correio::domain::message::{Content, Media, MediaType, MediaUrl, Message, MessageStatus};

use super::{broadcast, chunk, draft, recipients};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, node, request, tenant};

on_every_adapter![
    a_broadcast_reads_back_as_it_was,
    a_foreign_broadcast_is_like_none,
    a_key_is_kept_for_a_day_and_wins,
    it_is_paused_resumed_and_cancelled,
    what_has_ended_is_not_moved,
    what_is_queued_is_cancelled_in_portions_and_nothing_else,
    its_messages_are_listed_page_by_page_in_the_order_of_the_recipients,
    failures_are_listed_with_their_reasons,
];

async fn a_broadcast_reads_back_as_it_was(adapters: &Adapters) {
    let media = Media { url: MediaUrl::parse("https://example.org/a.png").unwrap(), media_type: MediaType::Image };
    let content = Content {
        text: Some("Olá".to_owned()),
        media: Some(media),
        payload: Some(r#"{"b":1.00,"a":"é"}"#.to_owned()),
        template: Some("{}".to_owned()),
        record: None,
    };
    let full = BroadcastDraft {
        group: Some(GroupId(id())),
        content,
        is_template: false,
        rate_per_minute: Some(600),
        send_at: Some(at(50)),
        ..draft()
    };
    for draft in [full, draft()] {
        let broadcast = broadcast("acme", node(), draft, 3);
        let accepted = adapters.broadcasts.accept(&broadcast, &recipients(3), None).await.unwrap();
        assert!(matches!(accepted, AcceptedBroadcast::Stored));
        let found = adapters.broadcasts.find(&broadcast.tenant, broadcast.id).await.unwrap().unwrap();
        assert_eq!((found.broadcast, found.counts.0.len()), (broadcast, 0));
    }
}

async fn a_foreign_broadcast_is_like_none(adapters: &Adapters) {
    let theirs = adapters.broadcast(node(), 3).await;
    let me = tenant("globex");
    assert!(adapters.broadcasts.find(&me, theirs.id).await.unwrap().is_none());
    for change in [BroadcastChange::Pause, BroadcastChange::Cancel] {
        let changed = adapters.broadcasts.change(&me, theirs.id, change, at(5)).await.unwrap();
        assert!(matches!(changed, ChangedBroadcast::Unknown));
    }
    assert_eq!(adapters.now_is(&theirs).await, theirs);
    assert!(adapters.broadcasts.find(&me, BroadcastId(id())).await.unwrap().is_none());
}

async fn a_key_is_kept_for_a_day_and_wins(adapters: &Adapters) {
    let first = broadcast("acme", node(), draft(), 1);
    let request = request("campanha", 7);
    let stored = adapters.broadcasts.accept(&first, &recipients(1), Some(&request)).await.unwrap();
    assert!(matches!(stored, AcceptedBroadcast::Stored));
    let kept = KeptBroadcast { fingerprint: [7; 32], id: first.id };
    let second = Broadcast { id: BroadcastId(id()), created_at: at(60), ..first.clone() };
    let taken = adapters.broadcasts.accept(&second, &recipients(1), Some(&request)).await.unwrap();
    assert!(matches!(taken, AcceptedBroadcast::KeyTaken(found) if found == kept));
    assert!(adapters.broadcasts.find(&first.tenant, second.id).await.unwrap().is_none());
    let found =
        async |name: &str, now| adapters.broadcasts.kept_request(&tenant(name), &request.key, now).await.unwrap();
    assert_eq!((found("acme", at(60)).await, found("globex", at(60)).await), (Some(kept), None));
    let day = 24 * 60 * 60;
    assert_eq!(found("acme", at(day)).await, None);
    let third = Broadcast { id: BroadcastId(id()), created_at: at(day), ..first };
    // Not by the clock of a process alone, where the server has one: it may be ahead.
    let again = adapters.broadcasts.accept(&third, &recipients(1), Some(&request)).await;
    assert!(!matches!(again, Ok(AcceptedBroadcast::KeyTaken(_))));
}

async fn it_is_paused_resumed_and_cancelled(adapters: &Adapters) {
    let mine = adapters.broadcast(node(), 3).await;
    let expected = [
        (BroadcastChange::Pause, BroadcastStatus::Paused),
        (BroadcastChange::Pause, BroadcastStatus::Paused),
        (BroadcastChange::Resume, BroadcastStatus::Expanding),
        (BroadcastChange::Resume, BroadcastStatus::Expanding),
        (BroadcastChange::Cancel, BroadcastStatus::Cancelled),
        (BroadcastChange::Cancel, BroadcastStatus::Cancelled),
    ];
    for (change, status) in expected {
        let changed = adapters.broadcasts.change(&mine.tenant, mine.id, change, at(5)).await.unwrap();
        assert!(matches!(changed, ChangedBroadcast::Done(now) if now.broadcast.status == status), "{change:?}");
    }
    let standing = adapters.broadcasts.find(&mine.tenant, mine.id).await.unwrap().unwrap();
    assert_eq!((standing.waiting(), standing.cancelled()), (0, 3));
    let later = broadcast("acme", node(), BroadcastDraft { send_at: Some(at(60)), ..draft() }, 3);
    adapters.broadcasts.accept(&later, &recipients(3), None).await.unwrap();
    adapters.broadcasts.change(&later.tenant, later.id, BroadcastChange::Pause, at(5)).await.unwrap();
    for (now, status) in [(at(6), BroadcastStatus::Scheduled), (at(70), BroadcastStatus::Expanding)] {
        let resumed = adapters.broadcasts.change(&later.tenant, later.id, BroadcastChange::Resume, now).await.unwrap();
        assert!(matches!(resumed, ChangedBroadcast::Done(it) if it.broadcast.status == status));
        adapters.broadcasts.change(&later.tenant, later.id, BroadcastChange::Pause, now).await.unwrap();
    }
}

async fn what_has_ended_is_not_moved(adapters: &Adapters) {
    let nobody = adapters.broadcast(node(), 0).await;
    assert_eq!(nobody.status, BroadcastStatus::Finished);
    for change in [BroadcastChange::Pause, BroadcastChange::Resume, BroadcastChange::Cancel] {
        let refused = adapters.broadcasts.change(&nobody.tenant, nobody.id, change, at(5)).await.unwrap();
        assert!(matches!(refused, ChangedBroadcast::Refused(BroadcastStatus::Finished)), "{change:?}");
    }
}

async fn what_is_queued_is_cancelled_in_portions_and_nothing_else(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let (mine, other) = (adapters.broadcast(owner, 6).await, adapters.broadcast(owner, 2).await);
    let make = async |broadcast: &Broadcast| {
        let messages = chunk(adapters.broadcast_expansion.as_ref(), broadcast, 10, owner).await;
        assert!(adapters.broadcast_expansion.expand(broadcast, &messages, None, at(1)).await.unwrap());
    };
    make(&mine).await;
    let limited = correio::application::ports::Take { limit: 1, ..crate::support::given::take(owner, 5) };
    let taken = adapters.taken(&limited).await;
    adapters.messages.claim(taken[0], owner, at(5)).await.unwrap().unwrap();
    make(&other).await;
    for expected in [3, 2, 0] {
        let cancelled = adapters.broadcasts.cancel_messages(&mine, Duration::ZERO, 3, at(6)).await.unwrap();
        assert_eq!(cancelled, CancelledMessages::Cancelled(expected));
    }
    let states = async |broadcast: &Broadcast| -> Vec<MessageStatus> {
        let listed = adapters.broadcasts.messages(broadcast, None, 10).await.unwrap().messages;
        assert!(listed.iter().all(|it| it.status != MessageStatus::Cancelled || it.next_attempt_at.is_none()));
        listed.iter().map(|message| message.status).collect()
    };
    let mut expected = vec![MessageStatus::Cancelled; 6];
    expected[0] = MessageStatus::Processing;
    assert_eq!(states(&mine).await, expected);
    assert_eq!(states(&other).await, [MessageStatus::Queued; 2]);
}

async fn its_messages_are_listed_page_by_page_in_the_order_of_the_recipients(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let (mine, other) = (adapters.broadcast(owner, 5).await, adapters.broadcast(owner, 5).await);
    for broadcast in [&other, &mine] {
        let messages = chunk(adapters.broadcast_expansion.as_ref(), broadcast, 10, owner).await;
        assert!(adapters.broadcast_expansion.expand(broadcast, &messages, None, at(1)).await.unwrap());
    }
    let (mut after, mut listed) = (None, Vec::new());
    for more in [true, true, false] {
        let page = adapters.broadcasts.messages(&mine, after, 2).await.unwrap();
        assert_eq!(page.more, more);
        after = page.messages.last().map(|message| message.id);
        listed.extend(page.messages.into_iter().map(|message| message.recipient));
    }
    assert_eq!(listed, ["0", "1", "2", "3", "4"]);
}

async fn failures_are_listed_with_their_reasons(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let mine = adapters.broadcast(owner, 3).await;
    let mut messages = chunk(adapters.broadcast_expansion.as_ref(), &mine, 10, owner).await;
    messages[1] = Message {
        status: MessageStatus::Failed,
        error: Some("no such number".to_owned()),
        failure: Some(FailureKind::Recipient),
        dead_lettered_at: Some(at(1)),
        next_attempt_at: None,
        ..messages[1].clone()
    };
    assert!(adapters.broadcast_expansion.expand(&mine, &messages, None, at(1)).await.unwrap());
    let failures = adapters.broadcasts.failures(&mine, 10).await.unwrap();
    assert_eq!(failures, [("1".to_owned(), "no such number".to_owned())]);
    let stored = adapters.now(&messages[1]).await;
    assert_eq!((stored.status, stored.dead_lettered_at), (MessageStatus::Failed, Some(at(1))));
}
