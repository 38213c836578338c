use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use correio::application::messages::send_message::{SendMessageError, Submission};
use correio::application::messages::turn::{Busy, LONGEST_WAIT, MOST_WAITING};
use correio::application::ports::{Handover, MessageFilter};
use correio::domain::message::MessageStatus;
use correio::domain::message::delivery::{DeliveryError, FailureKind};
use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::gateway::TestGateway;
use super::scripted::Act;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::eventually::{SOON, eventually};
use crate::support::given;

on_every_adapter![
    the_caller_learns_what_became_of_the_one_try,
    a_queued_message_is_tried_with_backoff_until_its_tries_are_used_up,
    a_permanent_failure_is_not_tried_again,
    handing_over_twice_delivers_once,
    messages_to_one_recipient_leave_in_the_order_of_their_ids,
    another_recipient_does_not_wait_for_a_slow_one,
    for_a_recipient_that_hangs_so_many_wait_so_long_and_nothing_of_the_others_is_stored,
    without_faults_the_relay_hands_nothing_over,
];

async fn the_caller_learns_what_became_of_the_one_try(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let sent = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap().message;
    assert_eq!((sent.status, sent.tries), (MessageStatus::Sent, 1));
    gateway.channel.next(Act::Fail(DeliveryError::transient("away")));
    let failed = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap().message;
    assert_eq!((failed.status, failed.failure), (MessageStatus::Failed, Some(FailureKind::Channel)));
    for told in [sent, failed] {
        let row = adapters.now(&told).await;
        assert_eq!((row.status, row.error, row.sent_at), (told.status, told.error, told.sent_at));
    }
    assert_eq!(gateway.channel.calls().len(), 2);
}

async fn a_queued_message_is_tried_with_backoff_until_its_tries_are_used_up(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    for _ in 0..5 {
        gateway.channel.next(Act::Fail(DeliveryError::transient("away")));
    }
    let owner = gateway.node.identity.current().unwrap();
    let waiting = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, owner)).await;
    let failed = gateway.relay_until(waiting.id, MessageStatus::Failed).await;
    assert_eq!((failed.tries, failed.try_number, failed.error.as_deref()), (5, 5, Some("away")));
    assert!(failed.dead_lettered_at.is_some());
    let waited = failed.updated_at - waiting.created_at;
    // 1, 4, 16 and 16 s, a fifth less at the least.
    assert!(waited >= chrono::Duration::milliseconds(29_600), "{waited}");
    assert_eq!(gateway.channel.calls().len(), 5);
}

async fn a_permanent_failure_is_not_tried_again(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    gateway.channel.next(Act::Fail(DeliveryError::refused("no such number")));
    let owner = gateway.node.identity.current().unwrap();
    let waiting = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, owner)).await;
    let failed = gateway.relay_until(waiting.id, MessageStatus::Failed).await;
    assert_eq!((failed.tries, failed.failure), (1, Some(FailureKind::Recipient)));
}

async fn handing_over_twice_delivers_once(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let owner = gateway.node.identity.current().unwrap();
    let waiting = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, owner)).await;
    let both = join_all([gateway.queue.hand_over(&waiting), gateway.queue.hand_over(&waiting)]).await;
    let done = both.iter().filter(|handover| matches!(handover, Ok(Handover::Done(_)))).count();
    assert_eq!(done, 1);
    assert!(matches!(gateway.queue.hand_over(&waiting).await, Ok(Handover::Queued)));
    assert_eq!(gateway.channel.calls(), [waiting.id]);
}

async fn messages_to_one_recipient_leave_in_the_order_of_their_ids(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let caller = gateway.caller();
    let sends = (0..30).map(|_| gateway.messages.send.execute(&caller, gateway.command("ana")));
    let submissions = join_all(sends).await;
    assert!(submissions.iter().all(|submission| submission.as_ref().unwrap().message.status == MessageStatus::Sent));
    assert!(gateway.channel.calls().is_sorted());
}

async fn another_recipient_does_not_wait_for_a_slow_one(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next(Act::Wait(gate.clone()));
    let (sending, caller, command) = (gateway.gateway.clone(), gateway.caller(), gateway.command("ana"));
    let slow = tokio::spawn(async move { sending.messages.send.execute(&caller, command).await });
    while gateway.channel.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let quick = gateway.messages.send.execute(&gateway.caller(), gateway.command("bia")).await.unwrap();
    assert_eq!(quick.message.status, MessageStatus::Sent);
    assert!(!slow.is_finished());
    gate.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().message.status, MessageStatus::Sent);
}

async fn without_faults_the_relay_hands_nothing_over(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next(Act::Wait(gate.clone()));
    let (sending, caller, command) = (gateway.gateway.clone(), gateway.caller(), gateway.command("ana"));
    let slow = tokio::spawn(async move { sending.messages.send.execute(&caller, command).await });
    while gateway.channel.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    // A slow channel is no fault, however slow.
    gateway.relay_for(Duration::from_secs(60)).await;
    gate.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().message.tries, 1);
    assert_eq!(gateway.taken_by_relay.load(Ordering::Relaxed), 0);
}

async fn for_a_recipient_that_hangs_so_many_wait_so_long_and_nothing_of_the_others_is_stored(adapters: &Adapters) {
    const TOO_MANY: usize = 5;
    let (gateway, gate) = (TestGateway::start(adapters).await, Arc::new(Semaphore::new(0)));
    gateway.channel.next_to("ana", Act::Wait(gate.clone()));
    let mut requests = JoinSet::new();
    let mut send = |recipient: &str| {
        let (gateway, caller, command) = (gateway.gateway.clone(), gateway.caller(), gateway.command(recipient));
        requests.spawn(async move { gateway.messages.send.execute(&caller, command).await })
    };
    send("ana");
    eventually(SOON, "the channel is called", async || (gateway.channel.calls().len() == 1).then_some(())).await;
    for _ in 0..MOST_WAITING + TOO_MANY {
        send("ana");
    }
    let refused = async |requests: &mut JoinSet<_>| {
        let refused: Result<Submission, SendMessageError> = requests.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(SendMessageError::Busy(Busy::Recipient))), "{refused:?}");
    };
    for _ in 0..TOO_MANY {
        refused(&mut requests).await;
    }
    assert_eq!(requests.len(), 1 + MOST_WAITING);
    // One that begins to wait only now waits as long from now on.
    while requests.len() > 1 {
        gateway.clock.advance(LONGEST_WAIT);
        let _some_more = timeout(Duration::from_millis(100), async {
            while requests.len() > 1 {
                refused(&mut requests).await;
            }
        })
        .await;
    }
    let counts = adapters.search.count(&gateway.instance.tenant, &MessageFilter::default()).await.unwrap();
    assert_eq!(counts, [(MessageStatus::Pending, 1)].into());
    gate.add_permits(1);
    let first = requests.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(first.message.status, MessageStatus::Sent);
}
