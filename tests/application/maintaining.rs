//! What the maintenance does with the time that passes, and how often `/health` looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::RepositoryError;
use correio::application::service::Repeated;
use correio::domain::message::{Message, MessageId, MessageStatus};
use futures::FutureExt;
use futures::future::join_all;
use uuid::Uuid;

use super::gateway::TestGateway;
use super::scripted::ManualClock;
use crate::support::databases::Adapters;
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
        assert!(reports.iter().all(|health| health.healthy && health.open_messages == 0));
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
    assert!(reports.iter().all(|health| !health.healthy));
    assert_eq!(counting.asked("search.count_open"), 1);
    *counting.is_away.lock().unwrap() = false;
    gateway.clock.advance(Duration::from_secs(2));
    let health = report.health().await;
    assert_eq!((health.healthy, health.open_messages), (true, 0));
}
