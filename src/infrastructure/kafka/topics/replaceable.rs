use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use tracing::{error, warn};

use crate::infrastructure::kafka::client::{STANDSTILL, StandstillWatch};

type Client<C> = Arc<ThreadedProducer<C>>;

/// A producer that is made when it is first needed, and anew when it never publishes again: after a fatal error, or when it stands
/// still.
pub struct Replaceable<C: ProducerContext + 'static> {
    config: ClientConfig,
    events: Box<dyn Fn() -> C + Send + Sync>,
    client: RwLock<Option<Client<C>>>,
    /// Of what `events` reports.
    pub standstill: Arc<StandstillWatch>,
}

impl<C: ProducerContext + 'static> Replaceable<C> {
    pub fn new(
        config: ClientConfig,
        standstill: Arc<StandstillWatch>,
        events: impl Fn() -> C + Send + Sync + 'static,
    ) -> Self {
        Self { config, events: Box::new(events), client: RwLock::default(), standstill }
    }

    /// # Errors
    /// When librdkafka refuses the settings, or the process may have no more threads.
    pub fn client(&self) -> Result<Client<C>, KafkaError> {
        if let Some(client) = &*self.client.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(client.clone());
        }
        let mut client = self.writable();
        // Another record may have been faster.
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let new = self.connect()?;
        *client = Some(new.clone());
        Ok(new)
    }

    pub fn replace_fatal(&self) {
        let mut client = self.writable();
        let fatal = client.as_ref().and_then(|client| client.client().fatal_error());
        // Another record may have been faster.
        let Some((_, cause)) = fatal else { return };
        self.replace(&mut client, &cause);
    }

    /// To be called before a publication, and after one that failed.
    pub fn replace_if_it_stands_still(&self) {
        if self.standstill.take() {
            self.replace(&mut self.writable(), STANDSTILL);
        }
    }

    /// What the old one still has is reported as failed, and so published again.
    fn replace(&self, client: &mut Option<Client<C>>, cause: &str) {
        match self.connect() {
            Ok(new) => {
                warn!(target: "kafka", cause, "the Kafka producer of topics is replaced");
                if let Some(old) = client.replace(new) {
                    // It takes a moment.
                    thread::spawn(move || abandon(&old));
                }
            }
            Err(error) => error!(target: "kafka", %error, "cannot create a new Kafka producer"),
        }
    }

    fn writable(&self) -> RwLockWriteGuard<'_, Option<Client<C>>> {
        self.client.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> Result<Client<C>, KafkaError> {
        self.config.create_with_context((self.events)()).map(Arc::new)
    }
}

fn abandon<C: ProducerContext + 'static>(client: &ThreadedProducer<C>) {
    client.purge(PurgeConfig::default().queue().inflight());
    if let Err(error) = client.flush(Duration::from_secs(10)) {
        error!(target: "kafka", %error, "a producer that is replaced did not report on all of its records");
    }
}
