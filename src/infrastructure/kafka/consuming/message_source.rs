use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::consumer_thread::{Consumer, ConsumerThread};
use crate::application::ports::{Arrival, MessageSource, Partition};

/// Consumes the topic that messages travel through, on a thread of its own.
pub struct KafkaMessageSource {
    /// Until it is needed.
    thread: Mutex<Option<ConsumerThread>>,
    arrivals: tokio::sync::Mutex<mpsc::Receiver<Arrival>>,
    link: Arc<Link>,
}

/// What the thread shares with those who use the source.
pub struct Link {
    pub topic: String,
    /// None while there is none.
    pub consumer: Mutex<Option<Arc<Consumer>>>,
    pub joined: AtomicBool,
    pub closing: AtomicBool,
}

impl KafkaMessageSource {
    /// Consumes from the first call of `next` on, until it is closed or dropped.
    pub fn new(link: Arc<Link>, arrivals: mpsc::Receiver<Arrival>, thread: ConsumerThread) -> Self {
        Self { thread: Mutex::new(Some(thread)), arrivals: tokio::sync::Mutex::new(arrivals), link }
    }

    fn start(&self) {
        let Some(consume) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let started = thread::Builder::new().name("kafka consumer".to_owned()).spawn(move || consume.run());
        if let Err(error) = started {
            // Its end of the arrivals is gone with it, so that the source counts as closed.
            error!(target: "kafka", %error, "there is no thread to consume on");
        }
    }
}

impl Link {
    pub fn new(topic: String) -> Self {
        Self { topic, consumer: Mutex::default(), joined: AtomicBool::new(false), closing: AtomicBool::new(false) }
    }

    /// Without handing the consumer out: the thread alone may drop it, because that waits for the group.
    fn with(&self, what: &str, partition: Partition, act: impl FnOnce(&Consumer) -> Result<(), KafkaError>) {
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(consumer) = &*consumer else { return };
        if let Err(error) = act(consumer) {
            // It was given up meanwhile: whoever has it now goes on from what is committed.
            debug!(target: "kafka", partition = partition.0, %error, "{what}");
        }
    }

    fn only(&self, partition: Partition) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition.0);
        list
    }
}

#[async_trait]
impl MessageSource for KafkaMessageSource {
    async fn next(&self) -> Arrival {
        self.start();
        self.arrivals.lock().await.recv().await.unwrap_or(Arrival::Closed)
    }

    fn pause(&self, partition: Partition) {
        self.link.with("not paused", partition, |consumer| consumer.pause(&self.link.only(partition)));
    }

    fn resume(&self, partition: Partition) {
        self.link.with("not resumed", partition, |consumer| consumer.resume(&self.link.only(partition)));
    }

    fn finished(&self, partition: Partition, offset: i64) {
        // It stores the offset after this one, which is where the group goes on.
        self.link.with("not stored as finished", partition, |consumer| {
            consumer.store_offset(&self.link.topic, partition.0, offset)
        });
    }

    fn has_joined(&self) -> bool {
        self.link.joined.load(Ordering::Relaxed)
    }

    fn close(&self) {
        self.link.closing.store(true, Ordering::Release);
    }
}

impl Drop for KafkaMessageSource {
    fn drop(&mut self) {
        self.link.closing.store(true, Ordering::Release);
    }
}
