use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use tracing::{error, warn};

/// A producer that is made when it is first needed, and anew after a fatal error: it never publishes again then.
pub struct Replaceable<C: ProducerContext + 'static> {
    config: ClientConfig,
    events: Box<dyn Fn() -> C + Send + Sync>,
    client: RwLock<Option<Arc<ThreadedProducer<C>>>>,
}

impl<C: ProducerContext + 'static> Replaceable<C> {
    pub fn new(config: ClientConfig, events: impl Fn() -> C + Send + Sync + 'static) -> Self {
        Self { config, events: Box::new(events), client: RwLock::default() }
    }

    /// # Errors
    /// When librdkafka refuses the settings, or the process may have no more threads.
    pub fn client(&self) -> Result<Arc<ThreadedProducer<C>>, KafkaError> {
        if let Some(client) = &*self.client.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(client.clone());
        }
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        // Another record may have been faster.
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let new = self.connect()?;
        *client = Some(new.clone());
        Ok(new)
    }

    pub fn replace_fatal(&self) {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        let fatal = client.as_ref().and_then(|client| client.client().fatal_error());
        // Another record may have been faster.
        let Some((_, cause)) = fatal else { return };
        match self.connect() {
            Ok(new) => {
                warn!(target: "kafka", cause, "the Kafka producer of topics is replaced");
                let old = client.replace(new);
                // Its end waits for what it still has.
                std::thread::spawn(move || drop(old));
            }
            Err(error) => error!(target: "kafka", %error, "cannot create a new Kafka producer"),
        }
    }

    fn connect(&self) -> Result<Arc<ThreadedProducer<C>>, KafkaError> {
        self.config.create_with_context((self.events)()).map(Arc::new)
    }
}
