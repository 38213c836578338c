use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use correio::application::ports::*;
use correio::domain::instance::channel::ChannelName;
use correio::domain::message::delivery::DeliveryError;
use correio::domain::message::{Message, MessageId, MessageStatus};
use futures::FutureExt;
use tokio::sync::Semaphore;

use super::gateway::{NODE_TIMEOUT, TestGateway, through_memory};
use super::scripted::Act;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::eventually::{SOON, eventually};
use crate::support::given;
use crate::support::memory_broker::{Letter, MemoryBroker};

on_every_adapter![
    what_is_accepted_is_answered_at_once_and_delivered_by_the_consumer,
    a_second_copy_is_passed_over,
    an_offset_is_finished_after_the_outcome_and_not_before,
    messages_to_one_recipient_leave_one_after_the_other_and_others_beside_them,
    a_delivery_that_panics_does_not_hold_up_its_partition,
    a_record_that_is_none_of_ours_is_set_aside_and_holds_up_nobody,
    a_partition_is_given_up_when_what_was_claimed_is_finished_and_the_rest_is_left,
    a_long_backlog_pauses_its_partition_and_resumes_it,
    a_refused_publication_is_made_due_and_published_again,
    what_was_refused_before_its_process_had_a_new_name_is_made_due,
    a_failed_message_owes_its_dead_letter_and_pays_it,
    dead_letters_that_cannot_be_published_delay_nothing_else,
    dead_letters_that_cannot_be_published_hold_no_others,
    a_backlog_that_waits_is_not_published_again,
    a_backlog_that_waits_is_not_published_again_when_its_process_has_a_new_name,
    a_process_that_its_group_keeps_out_is_not_ready_after_a_minute_and_accepts_all_the_same,
];

const ONE: Partition = Partition(0);

async fn queued(adapters: &Adapters, gateway: &TestGateway) -> Message {
    let owner = gateway.node.identity.current().unwrap();
    adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, owner)).await
}

async fn queued_to(adapters: &Adapters, gateway: &TestGateway, recipient: &str) -> Message {
    let owner = gateway.node.identity.current().unwrap();
    let message = given::message_of(&gateway.instance, MessageStatus::Queued, owner);
    adapters.stored(Message { recipient: recipient.to_owned(), ..message }).await
}

/// Waits until the message has ended in `status`.
async fn ended(adapters: &Adapters, gateway: &TestGateway, message: &Message, status: MessageStatus) -> Message {
    gateway.until("the message ends", async || Some(adapters.now(message).await).filter(|it| it.status == status)).await
}

/// While no time passes, so that what hangs does not hang for long.
async fn sent_meanwhile(adapters: &Adapters, message: &Message) {
    let is_sent = async || (adapters.now(message).await.status == MessageStatus::Sent).then_some(());
    eventually(SOON, "the message is sent", is_sent).await;
}

async fn finished(broker: &MemoryBroker, gateway: &TestGateway, offset: i64) {
    let is_there = async || (broker.finished(ONE) == Some(offset)).then_some(());
    gateway.until("the offset is finished", is_there).await;
}

async fn what_is_accepted_is_answered_at_once_and_delivered_by_the_consumer(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let submission = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap();
    assert_eq!((submission.message.status, submission.accepted_as), (MessageStatus::Queued, MessageStatus::Queued));
    assert!(gateway.channel.calls().is_empty());
    let consumer = gateway.consume();
    broker.assign(&[ONE]);
    let sent = ended(adapters, &gateway, &submission.message, MessageStatus::Sent).await;
    assert_eq!((sent.tries, sent.try_number), (1, 1));
    consumer.stop().await;
    assert_eq!(broker.finished(ONE), Some(0));
}

async fn a_second_copy_is_passed_over(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let message = queued(adapters, &gateway).await;
    for _ in 0..3 {
        broker.append_message(ONE, &message);
    }
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    finished(&broker, &gateway, 2).await;
    assert_eq!(gateway.channel.calls(), [message.id]);
    assert_eq!(broker.letters(), []);
}

async fn an_offset_is_finished_after_the_outcome_and_not_before(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next_to("ana", Act::Wait(gate.clone()));
    let (slow, quick) = (queued_to(adapters, &gateway, "ana").await, queued_to(adapters, &gateway, "bia").await);
    broker.append_message(ONE, &slow);
    broker.append_message(ONE, &quick);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    sent_meanwhile(adapters, &quick).await;
    assert_eq!(broker.finished(ONE), None);
    gate.add_permits(1);
    finished(&broker, &gateway, 1).await;
    assert_eq!(adapters.now(&slow).await.status, MessageStatus::Sent);
}

async fn messages_to_one_recipient_leave_one_after_the_other_and_others_beside_them(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next_to("ana", Act::Wait(gate.clone()));
    let mut to_ana = Vec::new();
    for _ in 0..5 {
        to_ana.push(queued_to(adapters, &gateway, "ana").await);
    }
    let to_bia = queued_to(adapters, &gateway, "bia").await;
    for message in to_ana.iter().chain([&to_bia]) {
        broker.append_message(ONE, message);
    }
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    sent_meanwhile(adapters, &to_bia).await;
    let to_ana_so_far = || gateway.channel.calls().into_iter().filter(|id| *id != to_bia.id).collect::<Vec<_>>();
    eventually(SOON, "the first has begun", async || to_ana_so_far().first().copied()).await;
    assert_eq!(to_ana_so_far(), [to_ana[0].id]);
    gate.add_permits(1);
    finished(&broker, &gateway, 5).await;
    assert_eq!(to_ana_so_far(), to_ana.iter().map(|message| message.id).collect::<Vec<_>>());
}

async fn a_delivery_that_panics_does_not_hold_up_its_partition(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    gateway.channel.next(Act::Panic);
    let message = queued(adapters, &gateway).await;
    broker.append_message(ONE, &message);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    finished(&broker, &gateway, 0).await;
    let sent = gateway.relay_until(message.id, MessageStatus::Sent).await;
    assert_eq!((sent.try_number, gateway.channel.calls().len()), (2, 2));
}

async fn a_record_that_is_none_of_ours_is_set_aside_and_holds_up_nobody(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let unknown = MessageId(given::id());
    broker.append(ONE, b"k", Err("is not JSON".to_owned()));
    broker.append(
        ONE,
        b"k",
        Ok(DeliveryRequest {
            message_id: unknown,
            instance: gateway.instance.id,
            channel: ChannelName::new("webhook"),
            omits_content: false,
        }),
    );
    let message = queued(adapters, &gateway).await;
    broker.append_message(ONE, &message);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    finished(&broker, &gateway, 2).await;
    assert_eq!(adapters.now(&message).await.status, MessageStatus::Sent);
    let mut letters = broker.letters();
    letters.sort_by_key(|letter| letter.message_id.is_some());
    let unreadable = Letter { message_id: None, error: "is not JSON".to_owned() };
    let unknown = Letter { message_id: Some(unknown), error: "names a message that does not exist".to_owned() };
    assert_eq!(letters, [unreadable, unknown]);
}

async fn a_partition_is_given_up_when_what_was_claimed_is_finished_and_the_rest_is_left(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next(Act::Wait(gate.clone()));
    let first = queued_to(adapters, &gateway, "ana").await;
    let second = queued_to(adapters, &gateway, "ana").await;
    broker.append_message(ONE, &first);
    broker.append_message(ONE, &second);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    eventually(SOON, "the first is being delivered", async || gateway.channel.calls().first().copied()).await;

    let mut drained = broker.take_back(&[ONE]);
    gateway.relay_for(std::time::Duration::from_secs(2)).await;
    assert!((&mut drained).now_or_never().is_none(), "drained while a claimed message was being delivered");
    gate.add_permits(1);
    drained.await.unwrap();
    assert_eq!(broker.finished(ONE), Some(0));
    assert_eq!(adapters.now(&first).await.status, MessageStatus::Sent);
    assert_eq!(adapters.now(&second).await.status, MessageStatus::Queued);

    broker.assign(&[ONE]);
    finished(&broker, &gateway, 1).await;
    assert_eq!(gateway.channel.calls(), [first.id, second.id]);
}

async fn a_long_backlog_pauses_its_partition_and_resumes_it(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next(Act::Wait(gate.clone()));
    let blocking = queued(adapters, &gateway).await;
    const BACKLOG: i64 = 300;
    for _ in 0..BACKLOG {
        broker.append_message(ONE, &blocking);
    }
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    eventually(SOON, "the partition is paused", async || broker.is_paused(ONE).then_some(())).await;
    gate.add_permits(1);
    finished(&broker, &gateway, BACKLOG - 1).await;
    assert!(!broker.is_paused(ONE));
}

async fn a_refused_publication_is_made_due_and_published_again(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    broker.refuse(true);
    let submission = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap();
    assert_eq!(submission.accepted_as, MessageStatus::Queued);
    gateway.relay_for(std::time::Duration::from_secs(5)).await;
    assert!(adapters.now(&submission.message).await.next_attempt_at.is_some());
    broker.refuse(false);
    gateway.relay_until(submission.message.id, MessageStatus::Sent).await;
    assert_eq!(gateway.channel.calls(), [submission.message.id]);
    assert_eq!(gateway.taken_by_relay.load(Ordering::Relaxed), 1);
}

/// It is told under the name that it was handed over with.
async fn what_was_refused_before_its_process_had_a_new_name_is_made_due(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    broker.refuse(true);
    let message = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap().message;
    gateway.clock.advance(NODE_TIMEOUT);
    gateway.keep_node_alive.beat().await.unwrap();
    assert_ne!(gateway.node.identity.current(), message.node);
    broker.refuse(false);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    gateway.relay_until(message.id, MessageStatus::Sent).await;
    assert_eq!(gateway.taken_by_relay.load(Ordering::Relaxed), 1);
}

async fn a_failed_message_owes_its_dead_letter_and_pays_it(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    gateway.channel.next(Act::Fail(DeliveryError::refused("no such number")));
    let message = queued(adapters, &gateway).await;
    broker.append_message(ONE, &message);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    let failed = ended(adapters, &gateway, &message, MessageStatus::Failed).await;
    assert_eq!(failed.dead_lettered_at, None);
    let _settling = gateway.pay_dead_letters();
    gateway.until("the dead letter is paid", async || adapters.now(&message).await.dead_lettered_at).await;
    assert_eq!(broker.letters(), [Letter { message_id: Some(message.id), error: "no such number".to_owned() }]);
}

async fn dead_letters_that_cannot_be_published_delay_nothing_else(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    broker.refuse_dead_letters(true);
    gateway.channel.next_to("ana", Act::Fail(DeliveryError::refused("no such number")));
    let (failing, other) = (queued_to(adapters, &gateway, "ana").await, queued_to(adapters, &gateway, "bia").await);
    broker.append_message(ONE, &failing);
    broker.append_message(ONE, &other);
    let (_consumer, _settling) = (gateway.consume(), gateway.pay_dead_letters());
    broker.assign(&[ONE]);
    finished(&broker, &gateway, 1).await;
    assert_eq!(adapters.now(&other).await.status, MessageStatus::Sent);
    assert_eq!(adapters.now(&failing).await.dead_lettered_at, None);
    broker.refuse_dead_letters(false);
    gateway.until("the dead letter is paid", async || adapters.now(&failing).await.dead_lettered_at).await;
    assert_eq!(broker.letters().len(), 1);
}

/// As when a topic of some is away, and there are more of them than are published at the same time.
async fn dead_letters_that_cannot_be_published_hold_no_others(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    broker.refuse_dead_letters_to("away");
    let owner = gateway.node.identity.current().unwrap();
    let failed = |recipient: &str| {
        let message = given::message_of(&gateway.instance, MessageStatus::Failed, owner);
        Message { recipient: recipient.to_owned(), ..message }
    };
    futures::future::join_all((0..300).map(|_| adapters.stored(failed("away")))).await;
    let last = adapters.stored(failed("ana")).await;
    let _settling = gateway.pay_dead_letters();
    gateway.until("the last is paid", async || adapters.now(&last).await.dead_lettered_at).await;
    assert_eq!(broker.letters().len(), 1);
}

/// As after an outage of the database that was longer than `NODE_TIMEOUT`: the name is gone, its process is not.
async fn a_backlog_that_waits_is_not_published_again_when_its_process_has_a_new_name(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let former = gateway.node.identity.current().unwrap();
    let mut waiting = Vec::new();
    for recipient in ["ana", "bia", "caio"] {
        waiting
            .push(gateway.messages.send.execute(&gateway.caller(), gateway.command(recipient)).await.unwrap().message);
    }
    let cut_off = adapters.open(MessageStatus::Processing, former).await;
    gateway.clock.advance(NODE_TIMEOUT);
    gateway.relay_for(NODE_TIMEOUT * 10).await;
    assert_ne!(gateway.node.identity.current(), Some(former));
    // What it was delivering under the old name is due, and that alone.
    assert_eq!(gateway.taken_by_relay.load(Ordering::Relaxed), 1);
    assert_ne!(adapters.now(&cut_off).await.node, Some(former));
    for message in &waiting {
        assert_eq!(adapters.now(message).await.node, Some(former));
    }
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    finished(&broker, &gateway, 3).await;
    for message in waiting {
        assert_eq!(gateway.channel.calls().iter().filter(|id| **id == message.id).count(), 1);
    }
}

async fn a_backlog_that_waits_is_not_published_again(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    for recipient in ["ana", "bia", "caio"] {
        gateway.messages.send.execute(&gateway.caller(), gateway.command(recipient)).await.unwrap();
    }
    // No consumer for many times as long as a record may take to be there: that is a backlog, not a fault.
    gateway.relay_for(std::time::Duration::from_secs(600)).await;
    assert_eq!(gateway.taken_by_relay.load(Ordering::Relaxed), 0);
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    finished(&broker, &gateway, 2).await;
    assert_eq!(gateway.channel.calls().len(), 3);
}

async fn a_process_that_its_group_keeps_out_is_not_ready_after_a_minute_and_accepts_all_the_same(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let health = &gateway.operations.report_health;
    let kept_out = |seconds| {
        Some(KeptOut { lasts: Duration::from_secs(seconds), reason: "the group has other members".to_owned() })
    };
    for (seconds, is_ready) in [(0, true), (59, true), (60, false)] {
        broker.keep_out(kept_out(seconds));
        assert_eq!(health.ready().await.is_ok(), is_ready, "{seconds}");
        assert_eq!(health.health().await.is_serving(), is_ready, "{seconds}");
    }
    let reason = health.ready().await.unwrap_err().to_string();
    assert!(reason.ends_with("the group has other members"), "{reason}");
    let submission = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await;
    assert_eq!(submission.unwrap().message.status, MessageStatus::Queued);
    broker.keep_out(None);
    health.ready().await.unwrap();
}
