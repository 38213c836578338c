//! What goes on while one step of the recovery fails, or does not come to an end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::node::WatchNodes;
use correio::application::node::watch_nodes::Sightings;
use correio::application::ports::{Clock, RepositoryError};
use correio::application::recovery::ForgetEndedNodes;
use correio::application::service::Repeated;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::node::NodeId;
use futures::FutureExt;

use super::gateway::{NODE_TIMEOUT, TestGateway};
use super::scripted::ManualClock;
use crate::support::databases::Adapters;
use crate::support::given::{at, message_of, outcome, sent};
use crate::support::memory::{MemoryDatabase, Statement, Weather};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ailment {
    Fails,
    NeverAnswers,
}

/// A database that is well but for some operations.
#[derive(Default)]
struct Ailing {
    ailments: Mutex<BTreeMap<&'static str, Ailment>>,
    asked: Mutex<BTreeMap<&'static str, usize>>,
}

#[async_trait]
impl Weather for Ailing {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        *self.asked.lock().unwrap().entry(operation).or_default() += 1;
        let ailment = self.ailments.lock().unwrap().get(operation).copied();
        match ailment {
            None => statement(),
            Some(Ailment::Fails) => return Err(RepositoryError::Unavailable("it fails".to_owned())),
            Some(Ailment::NeverAnswers) => std::future::pending().await,
        }
        Ok(())
    }
}

impl Ailing {
    fn is_ill(&self, operation: &'static str, ailment: Ailment) {
        self.ailments.lock().unwrap().insert(operation, ailment);
    }

    fn asked(&self, operation: &str) -> usize {
        self.asked.lock().unwrap().get(operation).copied().unwrap_or_default()
    }
}

fn database() -> (Adapters, Arc<Ailing>) {
    let ailing = Arc::new(Ailing::default());
    (MemoryDatabase::default().under(ailing.clone()).adapters(), ailing)
}

#[tokio::test]
async fn a_step_that_does_not_end_or_fails_keeps_no_node_from_being_found_gone() {
    let steps = ["due.take", "due.in_delivery", "owed_dead_letters.write_off", "nodes.forget"];
    for ailment in [Ailment::Fails, Ailment::NeverAnswers] {
        let (adapters, ailing) = database();
        let gateway = TestGateway::start(&adapters).await;
        let dead = adapters.live_node().await;
        for step in steps {
            ailing.is_ill(step, ailment);
        }
        let running = gateway.work();
        let is_gone = || gateway.node.sightings.last().is_some_and(|seen| seen.gone.contains(&dead));
        gateway.until("the node is found gone", async || is_gone().then_some(())).await;
        assert!(gateway.clock.monotonic() < 2 * NODE_TIMEOUT, "{:?}", gateway.clock.monotonic());
        drop(running);
    }
}

#[tokio::test]
async fn nodes_that_cannot_be_read_keep_nothing_waiting_that_has_its_time() {
    let (adapters, ailing) = database();
    let gateway = TestGateway::start(&adapters).await;
    let owner = adapters.live_node().await;
    let timed =
        Message { next_attempt_at: Some(at(20)), ..message_of(&gateway.instance, MessageStatus::Queued, owner) };
    let timed = adapters.stored(timed).await;
    ailing.is_ill("nodes.all", Ailment::Fails);
    gateway.relay_until(timed.id, MessageStatus::Sent).await;
    assert!(gateway.node.sightings.last().is_none());
}

/// Of a node that is gone and owns something that nobody takes.
#[tokio::test]
async fn nodes_that_stay_are_asked_for_less_and_less_often() {
    let (adapters, ailing) = database();
    let clock = Arc::new(ManualClock::new());
    let sightings = Sightings::new(clock.clone(), NODE_TIMEOUT);
    let mut watch = WatchNodes::new(adapters.nodes.clone(), clock.clone(), sightings.clone());
    let mut forget = ForgetEndedNodes::new(adapters.nodes.clone(), sightings, clock.clone());
    let stop = std::future::pending().boxed().shared();
    let dead = adapters.live_node().await;
    let owned = adapters.open(MessageStatus::Processing, dead).await;
    let mut pass = async |minutes: u64| {
        for _ in 0..minutes * 12 {
            clock.advance(Duration::from_secs(5));
            watch.round(&stop).await.unwrap();
            forget.round(&stop).await.unwrap();
        }
    };
    let is_there = async |node: NodeId| adapters.nodes.all().await.unwrap().iter().any(|row| row.id == node);
    pass(60).await;
    let asked = ailing.asked("nodes.forget");
    assert!((8..=16).contains(&asked), "asked {asked} times in an hour");
    // Another one that ends is not kept for the sake of the first.
    let next = adapters.live_node().await;
    pass(1).await;
    assert!(!is_there(next).await && is_there(dead).await);
    assert!(adapters.messages.record(&outcome(&owned, sent())).await.unwrap());
    pass(10).await;
    assert!(!is_there(dead).await);
    let asked = ailing.asked("nodes.forget");
    pass(60).await;
    assert_eq!(ailing.asked("nodes.forget"), asked, "there is none");
}
