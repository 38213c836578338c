//! How messages travel in this process: the one place that asks whether there is a broker.

use std::sync::Arc;

use crate::application::delivery::deliver_message::DeliverMessage;
use crate::application::delivery::direct_message_queue::DirectMessageQueue;
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::{Broker, Clock, DeadLetterTopic, Duties, MessageQueue};
use crate::domain::message::dead_letter::DeadLetterPolicy;
use crate::infrastructure::config::{Config, ConfigError, QueueConfig, Role};
use crate::infrastructure::kafka::{Kafka, KafkaMessageSource};

pub struct Transport {
    pub queue: Arc<dyn MessageQueue>,
    pub duties: Duties,
    pub dead_letters: DeadLetterPolicy,
    pub kafka: Option<Arc<Kafka>>,
    pub consumer: Option<Consumer>,
}

/// What delivers the messages that arrive from a broker.
pub struct Consumer {
    pub source: Arc<KafkaMessageSource>,
    pub process: Arc<DeliverMessage>,
}

impl Transport {
    /// `deliverer` makes what calls the channels, where this process does.
    ///
    /// # Errors
    /// When the configuration cannot be used. A broker that is away is none.
    pub fn start(
        config: &Config,
        role: Role,
        clock: &Arc<dyn Clock>,
        unreconciled: &Unreconciled,
        deliverer: impl FnOnce(DeadLetterPolicy) -> DeliverMessage,
    ) -> Result<Self, ConfigError> {
        match &config.queue {
            QueueConfig::Direct => {
                let dead_letters = DeadLetterPolicy::Row;
                let process = Arc::new(deliverer(dead_letters));
                Ok(Self {
                    queue: Arc::new(DirectMessageQueue::new(process, config.worker_concurrency)),
                    duties: Duties { publishes: false, consumes: false },
                    dead_letters,
                    kafka: None,
                    consumer: None,
                })
            }
            QueueConfig::Kafka(settings) => {
                let dead_letters = DeadLetterPolicy::Topic;
                let kafka = Arc::new(Kafka::start(settings, unreconciled.clone(), clock.clone())?);
                let consumer = if role.delivers() {
                    Some(Consumer { source: kafka.source(), process: Arc::new(deliverer(dead_letters)) })
                } else {
                    None
                };
                Ok(Self {
                    queue: kafka.queue.clone(),
                    duties: Duties { publishes: true, consumes: consumer.is_some() },
                    dead_letters,
                    kafka: Some(kafka),
                    consumer,
                })
            }
        }
    }

    pub fn broker(&self) -> Option<Arc<dyn Broker>> {
        self.kafka.clone().map(|kafka| kafka as Arc<dyn Broker>)
    }

    pub fn dead_letter_topic(&self) -> Option<Arc<dyn DeadLetterTopic>> {
        self.kafka.as_ref().map(|kafka| kafka.dead_letter_topic.clone() as Arc<dyn DeadLetterTopic>)
    }
}
