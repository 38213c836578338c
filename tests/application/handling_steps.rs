//! Steps of events that kill their processes, and databases that do not answer: what is innocent goes on, and nothing is dead
//! that only waited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::events::bells::Bells;
use correio::application::events::{HandleSteps, StepWork, WorkResult};
use correio::application::hindrances::Hindrances;
use correio::application::ports::*;
use correio::application::service::{Repeated, Repeating, Service};
use correio::application::subscriptions::{RouteEvents, ShapeMessage};
use correio::domain::event::{Event, EventStatus, Step};
use correio::infrastructure::expressions::BoundedExpressions;
use correio::infrastructure::system::SystemIds;
use futures::FutureExt;

use super::scripted::{ManualClock, ScriptedChannel};
use crate::contracts::events::{event, stored};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::tenant;
use crate::support::memory::{MemoryDatabase, Statement, Weather};

on_every_adapter![a_step_that_kills_its_process_is_given_up_and_the_others_are_done];

const EVENTS: usize = 20;

/// Kills whatever does it with the event `poison`.
#[derive(Default)]
struct Deadly {
    killed: AtomicU32,
}

#[async_trait]
impl StepWork for Deadly {
    fn step(&self) -> Step {
        Step::Publish
    }

    fn purpose(&self) -> &'static str {
        "do what kills"
    }

    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult> {
        if due.iter().any(|due| due.event.name == "poison") {
            self.killed.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        due.iter().map(|_| WorkResult::Done("done".to_owned())).collect()
    }
}

/// What a process does until it has no more to do, or dies.
async fn live(work: Arc<dyn StepWork>, steps: &Arc<dyn EventSteps>, clock: &Arc<ManualClock>) {
    let clock: Arc<dyn Clock> = clock.clone();
    let never: Stop = std::future::pending().boxed().shared();
    let hindrances = Hindrances::new(clock.clone());
    let mut process = HandleSteps::new(work, steps.clone(), clock, Bells::default(), hindrances);
    if let Ok(round) = tokio::time::timeout(Duration::from_secs(2), process.round(&never)).await {
        round.unwrap();
    }
}

async fn statuses(adapters: &Adapters) -> BTreeMap<EventStatus, u64> {
    adapters.events.count(&tenant("acme")).await.unwrap().by_status
}

async fn a_step_that_kills_its_process_is_given_up_and_the_others_are_done(adapters: &Adapters) {
    for number in 1..EVENTS {
        stored(adapters, &event(&number.to_string()), &[Step::Publish]).await;
    }
    stored(adapters, &event("poison"), &[Step::Publish]).await;
    let (deadly, clock) = (Arc::new(Deadly::default()), Arc::new(ManualClock::new()));
    let mut lives = 0;
    while deadly.killed.load(Ordering::Relaxed) < 5 || statuses(adapters).await.len() > 2 {
        live(deadly.clone(), &adapters.event_steps, &clock).await;
        clock.advance(Duration::from_secs(61));
        lives += 1;
        assert!(lives < 12, "{:?}", statuses(adapters).await);
    }
    live(deadly.clone(), &adapters.event_steps, &clock).await;
    let expected = [(EventStatus::Processed, EVENTS as u64 - 1), (EventStatus::DeadLetter, 1)];
    assert_eq!(statuses(adapters).await, expected.into());
    assert_eq!(deadly.killed.load(Ordering::Relaxed), 5);
    let poison = adapters.events.find(&tenant("acme"), "poison").await.unwrap().unwrap();
    assert!(poison.error.is_some_and(|error| error.contains("came to no result")));
}

/// A database that answers nothing about subscriptions and deliveries.
#[derive(Default)]
struct Silence(AtomicBool);

#[async_trait]
impl Weather for Silence {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        let is_asked = ["subscriptions.", "event_deliveries."].iter().any(|about| operation.starts_with(about));
        if self.0.load(Ordering::Relaxed) && is_asked {
            return Err(RepositoryError::Unavailable("away".to_owned()));
        }
        statement();
        Ok(())
    }
}

#[tokio::test]
async fn what_does_not_answer_makes_no_event_dead() {
    let silence = Arc::new(Silence::default());
    let database = MemoryDatabase::default().under(silence.clone());
    let adapters = database.adapters();
    let clock = Arc::new(ManualClock::new());
    for number in 0..EVENTS {
        stored(&adapters, &event(&number.to_string()), &[Step::Route]).await;
    }
    let of_clock: Arc<dyn Clock> = clock.clone();
    let shape = ShapeMessage {
        expressions: Arc::new(BoundedExpressions::default()),
        instances: adapters.instances.clone(),
        channels: Channels::new([Arc::new(ScriptedChannel::default()) as Arc<dyn ChannelSender>]),
        identity: None,
        ids: Arc::new(SystemIds::default()),
        clock: of_clock.clone(),
    };
    let work = Arc::new(RouteEvents {
        subscriptions: adapters.subscriptions.clone(),
        deliveries: adapters.event_deliveries.clone(),
        failed: adapters.failed.clone(),
        shape,
        clock: of_clock,
    });
    silence.0.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        live(work.clone(), &adapters.event_steps, &clock).await;
        clock.advance(Duration::from_secs(30));
    }
    assert_eq!(statuses(&adapters).await, [(EventStatus::Processing, EVENTS as u64)].into());
    let one: Event = adapters.events.find(&tenant("acme"), "1").await.unwrap().unwrap();
    let history = adapters.events.history(&one.tenant, one.id).await.unwrap();
    assert_eq!(history.len(), 3, "that it waits is told once: {history:?}");
    silence.0.store(false, Ordering::Relaxed);
    live(work, &adapters.event_steps, &clock).await;
    assert_eq!(statuses(&adapters).await, [(EventStatus::Processed, EVENTS as u64)].into());
}

/// Tables that are away for a while.
#[derive(Default)]
struct Away(AtomicBool);

#[async_trait]
impl StepWork for Away {
    fn step(&self) -> Step {
        Step::Tables
    }

    fn purpose(&self) -> &'static str {
        "write events to tables"
    }

    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult> {
        let result = || match self.0.load(Ordering::Relaxed) {
            true => WorkResult::Waits(Duration::from_secs(2), "the tables are away".to_owned()),
            false => WorkResult::Done("written".to_owned()),
        };
        due.iter().map(|_| result()).collect()
    }
}

/// An hour of it, in rounds a second apart; `look` sees how it is after each.
async fn an_hour(process: HandleSteps, clock: &Arc<ManualClock>, hindrances: &Hindrances, mut look: impl FnMut(u64)) {
    let (stop, stopped) = futures::channel::oneshot::channel::<()>();
    let of_clock: Arc<dyn Clock> = clock.clone();
    let service = Box::new(Repeating::new(process, of_clock).telling(hindrances));
    let running = tokio::spawn(service.run(stopped.map(|_| ()).boxed().shared()));
    for second in 0..3_600 {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        look(second);
        clock.advance(Duration::from_secs(1));
    }
    drop(stop);
    clock.advance(Duration::from_secs(1));
    running.await.unwrap();
}

#[tokio::test]
async fn what_steps_wait_for_is_said_until_they_wait_no_more() {
    let adapters = MemoryDatabase::default().adapters();
    let clock = Arc::new(ManualClock::new());
    let (away, hindrances) = (Arc::new(Away::default()), Hindrances::new(clock.clone()));
    away.0.store(true, Ordering::Relaxed);
    stored(&adapters, &event("1"), &[Step::Tables]).await;
    let of_clock: Arc<dyn Clock> = clock.clone();
    let process =
        HandleSteps::new(away.clone(), adapters.event_steps.clone(), of_clock, Bells::default(), hindrances.clone());
    let (mut first, mut last) = (None, 0);
    an_hour(process, &clock, &hindrances, |second| {
        away.0.store(second < 1_800, Ordering::Relaxed);
        if let Some(sentence) = hindrances.sentences().first() {
            assert!(sentence.contains("could not write events to tables"), "{sentence}");
            first.get_or_insert(second);
            last = second;
        }
    })
    .await;
    let first = first.expect("nothing was said");
    assert!((10..15).contains(&first) && (1_800..1_840).contains(&last), "{first} to {last}");
    assert_eq!(statuses(&adapters).await, [(EventStatus::Processed, 1)].into());
}
