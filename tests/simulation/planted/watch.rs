//! Mistakes in how long a heartbeat is said to have stood still.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::node::watch_nodes::{Sightings, WatchNodes};
use correio::application::ports::*;
use correio::application::service::Repeated;
use correio::domain::Timestamp;
use correio::domain::node::NodeId;

/// A watch of the nodes that takes each look for one moment, though it is two: when it was asked and when it was answered.
pub struct OneClock {
    watch: WatchNodes,
    nodes: Arc<dyn NodeRepository>,
    looked: Arc<Looked>,
    /// The moment is that of the answer.
    is_answer: bool,
}

/// The look that is told of.
struct Looked {
    clock: Arc<dyn Clock>,
    asked: Mutex<Option<Duration>>,
    answer: Mutex<Option<Result<Vec<NodeRow>, RepositoryError>>>,
    nodes: Arc<dyn NodeRepository>,
}

impl OneClock {
    pub fn new(nodes: Arc<dyn NodeRepository>, clock: Arc<dyn Clock>, sightings: Sightings, is_answer: bool) -> Self {
        let looked =
            Arc::new(Looked { clock, asked: Mutex::default(), answer: Mutex::default(), nodes: nodes.clone() });
        Self { watch: WatchNodes::new(looked.clone(), looked.clone(), sightings), nodes, looked, is_answer }
    }
}

#[async_trait]
impl Repeated for OneClock {
    fn name(&self) -> &'static str {
        self.watch.name()
    }

    fn purpose(&self) -> &'static str {
        self.watch.purpose()
    }

    fn interval(&self) -> Duration {
        self.watch.interval()
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        *self.looked.asked.lock().unwrap() = (!self.is_answer).then(|| self.looked.clock.monotonic());
        *self.looked.answer.lock().unwrap() = Some(self.nodes.all().await);
        self.watch.round(stop).await
    }
}

#[async_trait]
impl Clock for Looked {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.asked.lock().unwrap().unwrap_or_else(|| self.clock.monotonic())
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

#[async_trait]
impl NodeRepository for Looked {
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.nodes.register(node, process, duties, now).await
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        self.nodes.beat(node).await
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        let answer = self.answer.lock().unwrap().take();
        answer.unwrap_or_else(|| Err(RepositoryError::Unavailable("not asked".to_owned())))
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        self.nodes.leave(node, queued_are_kept, now).await
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError> {
        self.nodes.forget(nodes).await
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        self.nodes.forget_dead(alive).await
    }
}
