use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::ClientConfig;
use tokio::sync::mpsc;
use tracing::error;

use super::arrivals::Arrivals;
use super::consumer_thread::ConsumerThread;
use super::group::GroupSettings;
use super::link::Link;
use super::membership::Membership;
use super::standing::Standing;
use crate::application::ports::{Arrival, KeptOut, MessageSource, Partition};
use crate::infrastructure::kafka::client::Connection;
use crate::infrastructure::kafka::progress::Positions;

/// Arrivals that wait for the application. Few, because a record may be as large as a broker lets it.
const ARRIVALS: usize = 64;

/// Consumes the topic that messages travel through, on a thread of its own.
pub struct KafkaMessageSource {
    /// Until it is needed.
    thread: Mutex<Option<ConsumerThread>>,
    arrivals: tokio::sync::Mutex<mpsc::Receiver<Arrival>>,
    link: Arc<Link<Membership>>,
    standing: Arc<Standing>,
    drain_timeout: Duration,
}

impl KafkaMessageSource {
    /// Consumes from the first call of `next` on, until it is closed or dropped.
    pub fn new(
        config: ClientConfig,
        group: &GroupSettings,
        topic: String,
        positions: Positions,
        connection: Arc<Connection>,
        drain_timeout: Duration,
    ) -> Self {
        let (sender, arrivals) = mpsc::channel(ARRIVALS);
        let link = Arc::new(Link::new(topic));
        let standing = Arc::new(Standing::default());
        let membership = Membership {
            arrivals: Arrivals::new(sender, standing.clone(), drain_timeout),
            standing: standing.clone(),
            connection,
            group: group.clone(),
            link: link.clone(),
            partitions: Arc::default(),
            added: Arc::default(),
            positions,
            refusal: Arc::default(),
        };
        let thread = ConsumerThread::new(config, membership);
        Self {
            thread: Mutex::new(Some(thread)),
            arrivals: tokio::sync::Mutex::new(arrivals),
            link,
            standing,
            drain_timeout,
        }
    }

    /// How long a partition that is given up waits for what is being delivered.
    pub fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    fn start(&self) {
        let Some(consume) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let started = thread::Builder::new().name("kafka consumer".to_owned()).spawn(move || consume.run());
        if let Err(error) = started {
            // Its end of the arrivals is gone with it, so that the source counts as closed.
            error!(target: "kafka", %error, "cannot start the thread that consumes");
        }
    }
}

#[async_trait]
impl MessageSource for KafkaMessageSource {
    async fn next(&self) -> Arrival {
        self.start();
        self.arrivals.lock().await.recv().await.unwrap_or(Arrival::Closed)
    }

    fn pause(&self, partition: Partition) {
        self.link.pause(partition);
    }

    fn resume(&self, partition: Partition) {
        self.link.resume(partition);
    }

    fn finished(&self, partition: Partition, offset: i64) {
        self.link.finished(partition, offset);
    }

    fn has_joined(&self) -> bool {
        self.standing.has_joined()
    }

    fn kept_out(&self) -> Option<KeptOut> {
        self.standing.kept_out()
    }

    fn close(&self) {
        self.standing.close();
    }
}

impl Drop for KafkaMessageSource {
    fn drop(&mut self) {
        self.standing.close();
    }
}
