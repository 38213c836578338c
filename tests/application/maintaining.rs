//! What the maintenance does with the time that passes, and how often `/health` looks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::operations::report_health::Condition;
use correio::application::ports::{Accepted, Clock, RepositoryError};
use correio::application::service::Repeated;
use correio::domain::Timestamp;
use correio::domain::event::{Event, EventId, EventStatus};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::storage::shared::first_id;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::join_all;
use uuid::Uuid;

use super::gateway::TestGateway;
use super::scripted::ManualClock;
use crate::contracts::events::{event, stored};
use crate::support::databases::{Adapters, sqlite};
use crate::support::given::{at, message, node, request};
use crate::support::memory::{MemoryDatabase, Statement, Weather};

/// Counts what the database is asked, and answers nothing while it is away.
#[derive(Default)]
struct Counting {
    asked: Mutex<BTreeMap<&'static str, usize>>,
    is_away: Mutex<bool>,
    /// This operation fails.
    failing: Mutex<Option<&'static str>>,
    /// What deletes takes so long.
    takes: Mutex<Option<(Arc<ManualClock>, Duration)>>,
}

#[async_trait]
impl Weather for Counting {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        *self.asked.lock().unwrap().entry(operation).or_default() += 1;
        // Others come in between.
        tokio::task::yield_now().await;
        if let Some((clock, time)) = &*self.takes.lock().unwrap()
            && operation.contains("delete")
        {
            clock.advance(*time);
        }
        if *self.is_away.lock().unwrap() || *self.failing.lock().unwrap() == Some(operation) {
            return Err(RepositoryError::Unavailable("away".to_owned()));
        }
        statement();
        Ok(())
    }
}

/// Takes no outcome until it is set.
#[derive(Default)]
struct WithoutOutcomes(AtomicBool);

#[async_trait]
impl Weather for WithoutOutcomes {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        tokio::task::yield_now().await;
        if operation == "messages.record" && !self.0.load(Ordering::Relaxed) {
            return Err(RepositoryError::Unavailable("the disk is full".to_owned()));
        }
        statement();
        Ok(())
    }
}

impl Counting {
    fn asked(&self, operation: &str) -> usize {
        self.asked.lock().unwrap().get(operation).copied().unwrap_or_default()
    }
}

async fn begin(retention: Option<Duration>) -> (Adapters, Arc<Counting>, TestGateway) {
    let counting = Arc::new(Counting::default());
    let adapters = MemoryDatabase::default().under(counting.clone()).adapters();
    let gateway = TestGateway::keeping(&adapters, retention).await;
    (adapters, counting, gateway)
}

/// Accepted at noon, as the clock begins.
async fn ended(adapters: &Adapters) -> Message {
    let time = u128::from(at(0).timestamp_millis().unsigned_abs());
    let id = MessageId(Uuid::from_u128((time << 80) | (7 << 76) | (2 << 62) | 1));
    adapters.failed(Message { id, ..message(MessageStatus::Queued, node()) }, Some(at(10))).await
}

fn message_at(time: Timestamp) -> Message {
    let random = Uuid::new_v4().as_u128() & ((1 << 62) - 1);
    let id = (u128::from(time.timestamp_millis().unsigned_abs()) << 80) | (7 << 76) | (2 << 62) | random;
    Message { id: MessageId(Uuid::from_u128(id)), created_at: time, ..message(MessageStatus::Queued, node()) }
}

async fn maintain(gateway: &TestGateway) {
    let stop = std::future::pending().boxed().shared();
    gateway.maintain_storage().round(&stop).await.unwrap();
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_message_is_kept_for_as_long_as_the_retention_says() {
    let (adapters, _, gateway) = begin(Some(3 * DAY)).await;
    let message = ended(&adapters).await;
    gateway.clock.advance(2 * DAY);
    maintain(&gateway).await;
    assert!(adapters.messages.find(message.id).await.unwrap().is_some());
    gateway.clock.advance(DAY + Duration::from_millis(1));
    maintain(&gateway).await;
    assert!(adapters.messages.find(message.id).await.unwrap().is_none());
}

/// With each maintenance that begins, as after so many restarts.
#[tokio::test]
async fn a_clock_that_is_far_ahead_deletes_nothing_on_a_database_without_a_clock_of_its_own() {
    let adapters = sqlite().await.unwrap();
    let gateway = TestGateway::keeping(&adapters, Some(90 * DAY)).await;
    maintain(&gateway).await;
    let (message, key) = (ended(&adapters).await, request("k", 1));
    let keyed = message_at(at(20));
    adapters.messages.accept(&keyed, Some(&key)).await.unwrap();

    gateway.clock.set_by(200 * 24 * 60 * 60);
    for _ in 0..3 {
        maintain(&gateway).await;
        // What is accepted meanwhile has the time of the wrong clock, and proves nothing.
        adapters.messages.accept(&message_at(gateway.clock.now()), None).await.unwrap();
    }
    assert!(adapters.messages.find(message.id).await.unwrap().is_some());
    let kept = adapters.messages.kept_request(&keyed.tenant, &key.key, gateway.clock.now()).await.unwrap();
    assert_eq!(kept.unwrap().message.id, keyed.id);
    let again = adapters.messages.accept(&message_at(gateway.clock.now()), Some(&key)).await.unwrap();
    assert!(matches!(again, Accepted::KeyTaken(_)));
}

#[tokio::test]
async fn what_passed_unseen_is_made_up_for_while_time_passes() {
    let adapters = sqlite().await.unwrap();
    let gateway = TestGateway::keeping(&adapters, Some(90 * DAY)).await;
    let message = ended(&adapters).await;
    gateway.clock.set_by(200 * 24 * 60 * 60);
    let stop = std::future::pending().boxed().shared();
    let mut maintenance = gateway.maintain_storage();
    maintenance.round(&stop).await.unwrap();
    gateway.clock.advance(22 * DAY);
    maintenance.round(&stop).await.unwrap();
    assert!(adapters.messages.find(message.id).await.unwrap().is_some());
    gateway.clock.advance(DAY);
    maintenance.round(&stop).await.unwrap();
    assert!(adapters.messages.find(message.id).await.unwrap().is_none());
}

/// The machine had no battery, and learnt the time after the first start.
#[tokio::test]
async fn a_clock_that_was_far_behind_at_the_first_start_keeps_nothing_for_ever() {
    let adapters = sqlite().await.unwrap();
    let gateway = TestGateway::keeping(&adapters, Some(90 * DAY)).await;
    gateway.clock.set_by(-50 * 365 * 24 * 60 * 60);
    maintain(&gateway).await;
    gateway.clock.set_by(50 * 365 * 24 * 60 * 60);
    let message = ended(&adapters).await;
    let stop = std::future::pending().boxed().shared();
    gateway.clock.advance(91 * DAY);
    let mut maintenance = gateway.maintain_storage();
    maintenance.round(&stop).await.unwrap();
    gateway.clock.advance(23 * DAY);
    maintenance.round(&stop).await.unwrap();
    assert!(adapters.messages.find(message.id).await.unwrap().is_none());
}

/// As a full disk does, on which the message itself still had room.
#[tokio::test]
async fn a_caller_whose_outcome_the_database_does_not_take_is_answered_all_the_same() {
    let weather = Arc::new(WithoutOutcomes::default());
    let adapters = MemoryDatabase::default().under(weather.clone()).adapters();
    let gateway = TestGateway::start(&adapters).await;
    let (early, answered) = oneshot::channel();
    let (caller, command) = (gateway.caller(), gateway.command("ana"));
    let sending = gateway.messages.send.execute_answering(&caller, command, early);
    let answering = async {
        let message = answered.await.unwrap();
        assert_eq!(message.status, MessageStatus::Pending);
        assert!(gateway.node.held.holds(message.id), "nothing else takes it");
        weather.0.store(true, Ordering::Relaxed);
        message
    };
    let passing = async {
        while !weather.0.load(Ordering::Relaxed) {
            gateway.clock.advance(Duration::from_millis(500));
            tokio::task::yield_now().await;
        }
        // What waits for the next try.
        gateway.clock.advance(Duration::from_secs(2));
    };
    let (sent, message, ()) = futures::join!(sending, answering, passing);
    let sent = sent.unwrap().message;
    assert_eq!((sent.id, sent.status), (message.id, MessageStatus::Sent));
    assert_eq!(gateway.channel.calls().len(), 1);
}

#[tokio::test]
async fn without_a_retention_a_message_is_kept_for_ever() {
    let (adapters, _, gateway) = begin(None).await;
    let message = ended(&adapters).await;
    gateway.clock.advance(3_650 * DAY);
    maintain(&gateway).await;
    assert!(adapters.messages.find(message.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_makes_nothing_old_for_a_day() {
    let (adapters, _, gateway) = begin(Some(3 * DAY)).await;
    let stop = std::future::pending().boxed().shared();
    let mut maintenance = gateway.maintain_storage();
    let message = ended(&adapters).await;
    maintenance.round(&stop).await.unwrap();
    gateway.clock.set_by(100 * 24 * 60 * 60);
    let is_there = async || adapters.messages.find(message.id).await.unwrap().is_some();
    for hour in 1..24 {
        maintenance.round(&stop).await.unwrap();
        assert!(is_there().await, "after {hour} h");
        gateway.clock.advance(DAY / 24);
    }
    // Set back again, it was never old.
    gateway.clock.set_by(-100 * 24 * 60 * 60);
    gateway.clock.advance(DAY);
    maintenance.round(&stop).await.unwrap();
    assert!(is_there().await);
    gateway.clock.set_by(100 * 24 * 60 * 60);
    for _ in 0..2 {
        maintenance.round(&stop).await.unwrap();
        gateway.clock.advance(DAY);
    }
    maintenance.round(&stop).await.unwrap();
    assert!(!is_there().await, "its operator has had a day");
}

/// One step of three fails for ever.
#[tokio::test]
async fn what_fails_keeps_nothing_else_from_being_maintained() {
    for failing in ["storage.maintain", "storage.delete_expired_keys"] {
        let (adapters, counting, gateway) = begin(Some(3 * DAY)).await;
        let message = ended(&adapters).await;
        gateway.clock.advance(4 * DAY);
        *counting.failing.lock().unwrap() = Some(failing);
        let stop = std::future::pending().boxed().shared();
        let failed = gateway.maintain_storage().round(&stop).await;
        assert!(failed.is_err(), "{failing} is reported");
        assert!(adapters.messages.find(message.id).await.unwrap().is_none(), "{failing}");
    }
}

/// A thousand at a time, and others come in between.
#[tokio::test]
async fn keys_are_deleted_with_rests_and_none_by_a_process_that_stops() {
    let (adapters, counting, gateway) = begin(None).await;
    for number in 0..2_500 {
        let message = message(MessageStatus::Queued, node());
        adapters.messages.accept(&message, Some(&request(&format!("key-{number}"), 1))).await.unwrap();
    }
    gateway.clock.advance(400 * DAY);
    let stopped = std::future::ready(()).boxed().shared();
    stopped.clone().await;
    gateway.maintain_storage().round(&stopped).await.unwrap();
    assert_eq!(counting.asked("storage.delete_expired_keys"), 0);
    let took = Duration::from_millis(300);
    *counting.takes.lock().unwrap() = Some((gateway.clock.clone(), took));
    let going_on = std::future::pending().boxed().shared();
    let mut maintenance = gateway.maintain_storage();
    let round = tokio::spawn(async move { maintenance.round(&going_on).await });
    for parts in 1..=3 {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(counting.asked("storage.delete_expired_keys"), parts, "it rests after each");
        gateway.clock.advance(took);
    }
    round.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_process_that_stops_deletes_no_more() {
    let (_, counting, gateway) = begin(Some(DAY)).await;
    gateway.clock.advance(10 * DAY);
    let stop = std::future::ready(()).boxed().shared();
    stop.clone().await;
    gateway.maintain_storage().round(&stop).await.unwrap();
    assert_eq!(counting.asked("storage.delete_history"), 0);
}

#[tokio::test]
async fn however_many_ask_for_the_health_the_database_is_asked_once_in_two_seconds() {
    let (_, counting, gateway) = begin(None).await;
    let report = &gateway.operations.report_health;
    for times in 1..=3 {
        let reports = join_all((0..50).map(|_| report.health())).await;
        assert!(reports.iter().all(|health| health.is_serving() && health.open_messages == 0));
        gateway.clock.advance(Duration::from_millis(1_999));
        report.health().await;
        assert_eq!(counting.asked("search.count_open"), times);
        gateway.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_asked_no_more_often() {
    let (_, counting, gateway) = begin(None).await;
    let report = &gateway.operations.report_health;
    *counting.is_away.lock().unwrap() = true;
    let reports = join_all((0..50).map(|_| report.health())).await;
    assert!(reports.iter().all(|health| !health.is_serving()));
    assert_eq!((counting.asked("storage.ping"), counting.asked("search.count_open")), (1, 0));
    *counting.is_away.lock().unwrap() = false;
    gateway.clock.advance(Duration::from_secs(2));
    let health = report.health().await;
    assert_eq!((health.is_serving(), health.open_messages), (true, 0));
}

#[tokio::test]
async fn work_that_does_not_go_on_is_said_though_everything_is_there() {
    let (_, _, gateway) = begin(None).await;
    let report = &gateway.operations.report_health;
    let condition = async || {
        let health = report.health().await;
        (health.condition, health.hindrances.len())
    };
    let hindrances = &gateway.node.hindrances;
    hindrances.found("publish events", "no leader".to_owned());
    assert_eq!(condition().await, (Condition::Healthy, 0), "it may pass");
    gateway.clock.advance(Duration::from_secs(10));
    assert_eq!(condition().await, (Condition::Hindered, 1));
    hindrances.over("publish events");
    assert_eq!(condition().await, (Condition::Healthy, 0));
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_makes_no_event_old_for_a_day() {
    const HUNDRED_DAYS: i64 = 100 * 24 * 60 * 60;
    let (adapters, _, gateway) = begin(Some(3 * DAY)).await;
    let stop = std::future::pending().boxed().shared();
    let mut sweep = gateway.sweep_events();
    let now = gateway.clock.now();
    let one = Event { id: EventId(first_id(now)), received_at: now, status: EventStatus::Processed, ..event("one") };
    stored(&adapters, &one, &[]).await;
    let is_there = async || adapters.events.find(&one.tenant, &one.name).await.unwrap().is_some();
    sweep.round(&stop).await.unwrap();
    gateway.clock.set_by(HUNDRED_DAYS);
    sweep.round(&stop).await.unwrap();
    assert!(is_there().await);
    gateway.clock.set_by(-HUNDRED_DAYS);
    gateway.clock.advance(4 * DAY);
    sweep.round(&stop).await.unwrap();
    assert!(!is_there().await, "it is old");
}
