//! How a process lives: from its registration as a node to its farewell.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Either, join_all, select};
use tracing::{error, info, warn};

use super::gateway::Gateway;
use super::transport::Transport;
use crate::application::Stop;
use crate::application::ports::{Clock, QueueScope, RepositoryError};
use crate::application::service::{Repeating, Service};
use crate::domain::node::NodeId;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Everything that was begun is at its end.
    InGoodOrder,
    /// Something was still under way when the time was over: other processes take it over.
    Interrupted,
}

/// How long a start waits for the broker.
const BROKER_PATIENCE: Duration = Duration::from_secs(2);

/// How long a process that stops waits for a database that is away.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(5);

impl Gateway {
    /// Registers the process as a node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(&self) -> Result<NodeId, RepositoryError> {
        if let Transport::Brokered(brokered) = &self.transport {
            // A client that sees this process listen finds the topics; an absent broker delays the start by no more.
            self.within(BROKER_PATIENCE, brokered.broker.prepare()).await;
        }
        let node = self.keep_node_alive.register().await?;
        if self.settings.is_alone {
            // Every earlier node has departed, or is gone.
            self.ports.stores.nodes.forget_dead(node).await?;
        }
        Ok(node)
    }

    /// Lives until `stop` resolves, then finishes what it has begun, for at most `shutdown_timeout`.
    ///
    /// `intake` brings requests in until its argument resolves, and returns when the last of them is answered.
    pub async fn live<I>(&self, intake: impl FnOnce(Stop) -> I, stop: Stop) -> Farewell
    where
        I: Future<Output = ()> + Send + 'static,
    {
        self.live_with(self.services(), intake, stop).await
    }

    /// The same with these services.
    pub async fn live_with<I>(
        &self,
        services: Vec<Box<dyn Service>>,
        intake: impl FnOnce(Stop) -> I,
        stop: Stop,
    ) -> Farewell
    where
        I: Future<Output = ()> + Send + 'static,
    {
        // Two stops, one after the other: heartbeats go on until the last message has ended.
        let (stop_heart, heart_stopped) = oneshot::channel::<()>();
        let heart_stopped = heart_stopped.map(|_| ()).boxed().shared();
        let heart = Repeating::new(self.keep_node_alive.clone(), self.ports.clock.clone());
        let heart = self.begin_service(Box::new(heart), heart_stopped);
        let begun = services.into_iter().map(|service| self.begin_service(service, stop.clone())).collect();
        let intake = self.begin("intake", intake(stop.clone()).boxed());

        stop.await;
        info!(in_flight = self.ports.tasks.under_way(), "stopping");
        let farewell = self.finish(intake, begun).await;
        drop(stop_heart);
        let is_kept = farewell == Farewell::InGoodOrder && self.queue.scope() == QueueScope::Shared;
        let leave = async {
            heart.await;
            self.keep_node_alive.leave(is_kept).await;
        };
        if self.within(FAREWELL_PATIENCE, leave).await.is_none() {
            warn!(
                "stopped; the database did not answer, so the departure is not recorded and other nodes wait for NODE_TIMEOUT"
            );
        }
        farewell
    }

    /// Waits for all that is under way, intake first, the queue last.
    async fn finish(&self, intake: BoxFuture<'static, ()>, services: Vec<BoxFuture<'static, ()>>) -> Farewell {
        let limit = self.settings.shutdown_timeout;
        let finished = async {
            // A client that stalls in the middle of its request must not keep the process from stopping in good order.
            self.within(limit / 2, intake).await;
            join_all(services).await;
            self.ports.tasks.finished().await;
            self.queue.close().await;
        };
        if self.within(limit, finished).await.is_some() {
            return Farewell::InGoodOrder;
        }
        let in_flight = self.ports.tasks.under_way();
        warn!(in_flight, "stopped before everything was finished; another process, or the next start, takes it over");
        Farewell::Interrupted
    }

    fn begin_service(&self, service: Box<dyn Service>, stop: Stop) -> BoxFuture<'static, ()> {
        self.begin(service.name(), service.run(stop).boxed())
    }

    /// Starts the service concurrently; the returned future waits for its end.
    fn begin(&self, name: &'static str, service: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        let (sender, end) = oneshot::channel::<()>();
        let report = PanicReport { name, sender: Some(sender) };
        self.ports.tasks.spawn_service(
            name,
            async move {
                let report = report;
                service.await;
                report.ended();
            }
            .boxed(),
        );
        end.map(|_| ()).boxed()
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
        within(&self.ports.clock, limit, work).await
    }
}

async fn within<T>(clock: &Arc<dyn Clock>, limit: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
    match select(Box::pin(work), clock.sleep(limit)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// Reports a service that panics: it does not run again before the next start of the process.
struct PanicReport {
    name: &'static str,
    sender: Option<oneshot::Sender<()>>,
}

impl PanicReport {
    fn ended(mut self) {
        // The process may have given up waiting.
        let _ = self.sender.take().map(|sender| sender.send(()));
    }
}

impl Drop for PanicReport {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(
                service = self.name,
                "a background service panicked and stays stopped until the process is restarted"
            );
        }
    }
}
