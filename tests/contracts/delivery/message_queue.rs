//! What every way to travel promises, from the hand-over to the channel.

use std::sync::Arc;
use std::time::Duration;

use correio::application::ports::{Handover, QueueScope};
use correio::domain::message::delivery::DeliveryError;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::config::{Brokers, GroupProtocol, KafkaConfig, KafkaSecurity};
use futures::future::join_all;
use tokio::sync::Semaphore;

use crate::application::gateway::{TestGateway, directly, through_kafka};
use crate::application::scripted::Act;
use crate::kafka::brokers::TestBroker;
use crate::support::databases::{self, Adapters};
use crate::support::given;

macro_rules! on_every_queue {
    ($($story:ident),* $(,)?) => {
        on_queue!(direct: $($story)*);
        on_queue!(mock: $($story)*);
        on_queue!(real_kafka: $($story)*);
    };
}

macro_rules! on_queue {
    ($queue:ident: $($story:ident)*) => {
        mod $queue {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let adapters = crate::support::databases::sqlite().await.unwrap();
                    if let Some(gateway) = super::$queue(&adapters).await {
                        super::$story(&adapters, &gateway).await;
                    }
                }
            )*
        }
    };
}

on_every_queue![
    what_is_handed_over_is_delivered,
    handing_over_twice_delivers_once,
    messages_to_one_recipient_leave_in_the_order_in_which_they_were_accepted,
    another_recipient_does_not_wait_for_a_slow_one,
    a_message_that_fails_for_now_comes_back_until_its_tries_are_used_up,
    what_was_taken_over_from_direct_mode_is_delivered,
    what_waits_when_it_is_closed_is_delivered_or_kept,
];

async fn direct(adapters: &Adapters) -> Option<TestGateway> {
    Some(TestGateway::through(adapters, directly).await)
}

async fn mock(adapters: &Adapters) -> Option<TestGateway> {
    Some(TestGateway::through(adapters, through_kafka(config(Brokers::Embedded))).await)
}

async fn real_kafka(adapters: &Adapters) -> Option<TestGateway> {
    let address = TestBroker::real_kafka()?.address;
    let config = config(Brokers::Addresses(vec![address]));
    Some(TestGateway::through(adapters, through_kafka(config)).await)
}

fn config(brokers: Brokers) -> KafkaConfig {
    let name = uuid::Uuid::new_v4().simple().to_string();
    KafkaConfig {
        brokers,
        group_id: format!("test-{name}"),
        topic_prefix: format!("test-{name}-"),
        partitions: 3,
        replication_factor: None,
        publish_timeout: Duration::from_secs(10),
        group_protocol: GroupProtocol::Classic,
        session_timeout: Duration::from_secs(6),
        security: KafkaSecurity::default(),
    }
}

/// A message that waits as this queue wants it to.
async fn waiting(adapters: &Adapters, gateway: &TestGateway) -> Message {
    adapters.stored(unstored(gateway)).await
}

fn unstored(gateway: &TestGateway) -> Message {
    let owner = gateway.node.identity.current().unwrap();
    given::message_of(&gateway.instance, gateway.queue.waiting_status(), owner)
}

async fn ended(adapters: &Adapters, gateway: &TestGateway, id: MessageId) -> Message {
    let find = async || adapters.messages.find(id).await.unwrap().filter(|message| !message.status.is_open());
    gateway.until("the message ends", find).await
}

async fn what_is_handed_over_is_delivered(adapters: &Adapters, gateway: &TestGateway) {
    let _work = gateway.work();
    let message = unstored(gateway);
    // Who hands over a pending message holds it from before it is stored, and waits. Otherwise the comparison gives it back.
    let hold = gateway.node.held.hold(message.id).filter(|_| message.status == MessageStatus::Pending);
    let message = adapters.stored(message).await;
    let handover = gateway.queue.hand_over(&message).await.unwrap();
    drop(hold);
    assert_eq!(matches!(handover, Handover::Queued), gateway.queue.scope().publishes());
    let sent = ended(adapters, gateway, message.id).await;
    assert_eq!((sent.status, sent.tries, sent.try_number), (MessageStatus::Sent, 1, 1));
    assert_eq!(gateway.channel.calls(), [message.id]);
}

async fn handing_over_twice_delivers_once(adapters: &Adapters, gateway: &TestGateway) {
    let _work = gateway.work();
    let owner = gateway.node.identity.current().unwrap();
    let message = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, owner)).await;
    let both = join_all([gateway.queue.hand_over(&message), gateway.queue.hand_over(&message)]).await;
    assert!(both.iter().all(Result::is_ok));
    ended(adapters, gateway, message.id).await;
    gateway.queue.hand_over(&message).await.unwrap();
    // One behind it, to the same recipient, shows that the copies have been looked at.
    let behind = waiting(adapters, gateway).await;
    gateway.queue.hand_over(&behind).await.unwrap();
    ended(adapters, gateway, behind.id).await;
    assert_eq!(gateway.channel.calls(), [message.id, behind.id]);
}

async fn messages_to_one_recipient_leave_in_the_order_in_which_they_were_accepted(_: &Adapters, gateway: &TestGateway) {
    let _work = gateway.work();
    let caller = gateway.caller();
    let sends = (0..60).map(|number| {
        let recipient = if number % 3 == 0 { "ana" } else { "bia" };
        gateway.messages.send.execute(&caller, gateway.command(recipient))
    });
    let submissions = join_all(sends).await;
    let to_ana: Vec<MessageId> =
        submissions.iter().step_by(3).map(|submission| submission.as_ref().unwrap().message.id).collect();
    gateway.until("all have left", async || (gateway.channel.calls().len() == 60).then_some(())).await;
    let calls: Vec<MessageId> = gateway.channel.calls().into_iter().filter(|id| to_ana.contains(id)).collect();
    assert_eq!(calls.len(), 20);
    assert!(calls.is_sorted());
}

async fn another_recipient_does_not_wait_for_a_slow_one(_: &Adapters, gateway: &TestGateway) {
    let _work = gateway.work();
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next_to("ana", Act::Wait(gate.clone()));
    let (sending, caller, command) = (gateway.gateway.clone(), gateway.caller(), gateway.command("ana"));
    let slow = tokio::spawn(async move { sending.messages.send.execute(&caller, command).await });
    let is_begun = async || gateway.channel.calls().first().copied();
    gateway.until("the slow one has begun", is_begun).await;
    gateway.messages.send.execute(&gateway.caller(), gateway.command("bia")).await.unwrap();
    gateway.until("the quick one has left", async || gateway.channel.calls().get(1).copied()).await;
    gate.add_permits(1);
    slow.await.unwrap().unwrap();
}

async fn a_message_that_fails_for_now_comes_back_until_its_tries_are_used_up(
    adapters: &Adapters,
    gateway: &TestGateway,
) {
    let _work = gateway.work();
    for _ in 0..5 {
        gateway.channel.next(Act::Fail(DeliveryError::transient("away")));
    }
    let owner = gateway.node.identity.current().unwrap();
    let message = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, owner)).await;
    gateway.queue.hand_over(&message).await.unwrap();
    let failed = ended(adapters, gateway, message.id).await;
    assert_eq!((failed.status, failed.tries, failed.error.as_deref()), (MessageStatus::Failed, 5, Some("away")));
    assert_eq!(gateway.channel.calls().len(), 5);
    let paid = async || adapters.now(&message).await.dead_lettered_at;
    gateway.until("its dead letter is accounted for", paid).await;
}

async fn what_was_taken_over_from_direct_mode_is_delivered(adapters: &Adapters, gateway: &TestGateway) {
    let _work = gateway.work();
    let pending = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, given::node())).await;
    let sent = ended(adapters, gateway, pending.id).await;
    assert_eq!((sent.status, sent.try_number), (MessageStatus::Sent, 2));
    assert_eq!(gateway.channel.calls(), [pending.id]);
}

async fn what_waits_when_it_is_closed_is_delivered_or_kept(adapters: &Adapters, gateway: &TestGateway) {
    let message = waiting(adapters, gateway).await;
    gateway.queue.hand_over(&message).await.unwrap();
    gateway.queue.close().await;
    if gateway.queue.scope() == QueueScope::Nowhere {
        assert_eq!(adapters.now(&message).await.status, MessageStatus::Sent);
    } else {
        assert!(gateway.node.unreconciled.is_empty());
        assert!(gateway.queue.hand_over(&message).await.is_err(), "nothing is taken after the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kafka_that_is_away_keeps_nobody_waiting_and_loses_nothing() {
    let adapters = databases::sqlite().await.unwrap();
    // Nobody listens there: the port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = Brokers::Addresses(vec![format!("127.0.0.1:{port}")]);
    let config = KafkaConfig { publish_timeout: Duration::from_secs(1), ..config(away) };
    let gateway = TestGateway::through(&adapters, through_kafka(config)).await;
    let _work = gateway.work();
    let submission = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap();
    assert_eq!(submission.message.status, MessageStatus::Queued);
    let due = async || adapters.now(&submission.message).await.next_attempt_at;
    gateway.until("the message is made due", due).await;
    // And it stays so, instead of going round, until Kafka is there.
    assert_eq!(gateway.queue.free_capacity(), 0);
}
