//! The wall clock is set while messages wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::messages::send_message::SendMessageCommand;
use correio::application::ports::{Clock, RepositoryError};
use correio::domain::message::delivery::DeliveryError;
use correio::domain::message::{Draft, Message, MessageId};

use super::gateway::TestGateway;
use super::scripted::Act;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::memory::{MemoryDatabase, Statement, Weather};

on_every_adapter![
    a_retry_comes_after_its_wait_when_the_clock_is_set_back,
    a_retry_does_not_come_before_its_wait_when_the_clock_is_set_ahead,
    a_time_that_a_sender_gave_is_of_the_wall_clock,
    what_was_due_by_a_clock_ahead_is_due_to_a_relay_that_begins,
];

const HOUR: i64 = 3_600;
const WAIT: Duration = Duration::from_secs(60);

async fn sent_later(gateway: &TestGateway, seconds: i64) -> MessageId {
    let command = gateway.command("ana");
    let send_at = Some(gateway.clock.now() + chrono::TimeDelta::seconds(seconds));
    let command = SendMessageCommand { draft: Draft { send_at, ..command.draft }, ..command };
    gateway.messages.send.execute(&gateway.caller(), command).await.unwrap().message.id
}

async fn found(gateway: &TestGateway, id: MessageId) -> Message {
    gateway.stored_messages().find(id).await.unwrap().unwrap()
}

/// A message that waits for its second try, which is a minute away.
async fn waiting(gateway: &TestGateway) -> MessageId {
    gateway.channel.next(Act::Fail(DeliveryError::transient("away").with_retry_after(Some(WAIT))));
    let id = sent_later(gateway, 1).await;
    gateway
        .until("it waits for its second try", async || {
            let message = found(gateway, id).await;
            (message.tries == 1 && message.next_attempt_at.is_some()).then_some(())
        })
        .await;
    id
}

/// How long it then takes by the monotonic clock.
async fn until_sent(gateway: &TestGateway, id: MessageId) -> Duration {
    let begin = gateway.clock.monotonic();
    gateway.until("it is sent", async || found(gateway, id).await.sent_at).await;
    gateway.clock.monotonic() - begin
}

async fn a_retry_comes_after_its_wait_when_the_clock_is_set_back(adapters: &Adapters) {
    is_kept_when_the_clock_is_set(adapters, -HOUR).await;
}

async fn a_retry_does_not_come_before_its_wait_when_the_clock_is_set_ahead(adapters: &Adapters) {
    is_kept_when_the_clock_is_set(adapters, HOUR).await;
}

async fn is_kept_when_the_clock_is_set(adapters: &Adapters, by: i64) {
    let gateway = TestGateway::start(adapters).await;
    let running = gateway.work();
    let id = waiting(&gateway).await;
    gateway.clock.set_by(by);
    let waited = until_sent(&gateway, id).await;
    assert!(waited > WAIT / 2 && waited < WAIT * 2, "{waited:?}");
    // And it has no part in what comes later.
    let id = waiting(&gateway).await;
    let waited = until_sent(&gateway, id).await;
    assert!(waited > WAIT / 2 && waited < WAIT * 2, "{waited:?}");
    running.stop().await;
}

async fn a_time_that_a_sender_gave_is_of_the_wall_clock(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let running = gateway.work();
    let scheduled = sent_later(&gateway, 2 * HOUR).await;
    let send_at = found(&gateway, scheduled).await.send_at;
    let waiting = waiting(&gateway).await;
    gateway.clock.set_by(-HOUR);
    until_sent(&gateway, waiting).await;
    assert_eq!(found(&gateway, scheduled).await.next_attempt_at, send_at);
    gateway.clock.set_by(3 * HOUR);
    let waited = until_sent(&gateway, scheduled).await;
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    running.stop().await;
}

async fn what_was_due_by_a_clock_ahead_is_due_to_a_relay_that_begins(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    gateway.clock.set_by(2 * HOUR);
    let id = sent_later(&gateway, 1).await;
    let node = gateway.node.identity.current().unwrap();
    // As the relay does with what Kafka refused, after it has taken it.
    let take = crate::support::given::take(node, 3 * HOUR);
    assert_eq!(adapters.taken(&take).await, [id]);
    assert_eq!(adapters.due.make_due(&[(id, node)], gateway.clock.now()).await.unwrap(), 1);

    // No relay ran when the clock was put right.
    gateway.clock.set_by(-2 * HOUR);
    let running = gateway.work();
    let waited = until_sent(&gateway, id).await;
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    running.stop().await;
}

/// Does not time anything anew while it is away.
#[derive(Default)]
struct WithoutRetiming(AtomicBool);

#[async_trait]
impl Weather for WithoutRetiming {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        tokio::task::yield_now().await;
        if operation == "due.retime" && self.0.load(Ordering::Relaxed) {
            return Err(RepositoryError::Unavailable("away".to_owned()));
        }
        statement();
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_taken_as_due_before_it_is_timed_anew() {
    let weather = Arc::new(WithoutRetiming::default());
    let adapters = MemoryDatabase::default().under(weather.clone()).adapters();
    let gateway = TestGateway::start(&adapters).await;
    let running = gateway.work();
    let id = waiting(&gateway).await;
    weather.0.store(true, Ordering::Relaxed);
    gateway.clock.set_by(HOUR);
    let begin = gateway.clock.monotonic();
    gateway.until("some rounds fail", async || (gateway.clock.monotonic() - begin > WAIT / 4).then_some(())).await;
    assert_eq!(found(&gateway, id).await.sent_at, None);
    weather.0.store(false, Ordering::Relaxed);
    until_sent(&gateway, id).await;
    assert!(gateway.clock.monotonic() - begin > WAIT / 2);
    running.stop().await;
}
