use std::sync::atomic::Ordering;
use std::time::Duration;

use correio::application::messages::send_message::{SendMessageCommand, SendMessageError, Submission};
use correio::application::ports::{Clock, Partition};
use correio::domain::message::{Draft, MessageStatus};

use super::gateway::{TestGateway, through_memory};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::request;
use crate::support::memory_broker::MemoryBroker;

on_every_adapter![
    a_message_with_a_time_is_queued_and_delivered_at_its_time,
    through_a_broker_it_is_published_at_its_time,
    a_time_that_is_past_is_now,
    a_time_more_than_a_year_ahead_is_refused,
];

fn to_send_in(gateway: &TestGateway, seconds: i64) -> SendMessageCommand {
    let command = gateway.command("ana");
    let send_at = Some(gateway.clock.now() + chrono::Duration::seconds(seconds));
    SendMessageCommand { draft: Draft { send_at, ..command.draft }, ..command }
}

async fn a_message_with_a_time_is_queued_and_delivered_at_its_time(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    is_delivered_at_its_time(&gateway).await;
}

async fn through_a_broker_it_is_published_at_its_time(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let _consuming = gateway.consume();
    broker.assign(&[Partition(0)]);
    is_delivered_at_its_time(&gateway).await;
}

async fn is_delivered_at_its_time(gateway: &TestGateway) {
    let command = SendMessageCommand { request: Some(request("later", 1)), ..to_send_in(gateway, 60) };
    let send_at = command.draft.send_at;
    let submitted = gateway.messages.send.execute(&gateway.caller(), command.clone()).await.unwrap();
    let Submission { message, accepted_as, repeated } = submitted;
    assert_eq!((message.status, accepted_as, repeated), (MessageStatus::Queued, MessageStatus::Queued, false));
    assert_eq!((message.send_at, message.next_attempt_at, message.try_number), (send_at, send_at, 0));
    assert!(!gateway.node.held.holds(message.id));

    gateway.relay_for(Duration::from_secs(58)).await;
    assert_eq!((gateway.channel.calls(), gateway.taken_by_relay.load(Ordering::Relaxed)), (vec![], 0));
    let again = gateway.messages.send.execute(&gateway.caller(), command).await.unwrap();
    assert_eq!((again.message.id, again.accepted_as, again.repeated), (message.id, MessageStatus::Queued, true));
    let sent = gateway.relay_until(message.id, MessageStatus::Sent).await;
    assert_eq!((sent.send_at, sent.next_attempt_at, sent.tries), (send_at, None, 1));
    assert!(sent.sent_at >= send_at);
    assert_eq!((gateway.channel.calls(), gateway.taken_by_relay.load(Ordering::Relaxed)), (vec![message.id], 1));
}

async fn a_time_that_is_past_is_now(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    for seconds in [-60, 0] {
        let command = to_send_in(&gateway, seconds);
        let send_at = command.draft.send_at;
        let sent = gateway.messages.send.execute(&gateway.caller(), command).await.unwrap();
        assert_eq!((sent.message.status, sent.accepted_as), (MessageStatus::Sent, MessageStatus::Pending));
        assert_eq!(adapters.now(&sent.message).await.send_at, send_at);
    }
}

async fn a_time_more_than_a_year_ahead_is_refused(adapters: &Adapters) {
    const DAY: i64 = 24 * 60 * 60;
    let gateway = TestGateway::start(adapters).await;
    let within = gateway.messages.send.execute(&gateway.caller(), to_send_in(&gateway, 365 * DAY)).await.unwrap();
    assert_eq!(within.message.status, MessageStatus::Queued);
    let beyond = gateway.messages.send.execute(&gateway.caller(), to_send_in(&gateway, 365 * DAY + 1)).await;
    let Err(SendMessageError::Invalid(problems)) = beyond else { panic!("{beyond:?}") };
    assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["/sendAt"]);
    assert_eq!(gateway.channel.calls(), []);
}
