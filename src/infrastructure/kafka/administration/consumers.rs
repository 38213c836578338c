//! Members of consumer groups, for callers of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::memory_shares::MemoryShares;
use super::names::is_a_topic;
use super::native::Refused;
use super::reader_events::{ReaderEvents, Shared};
use super::reading::{Reading, TIMEOUT, place_of};
use super::waiting::Waiting;
use crate::application::ports::{
    AdministrationError, CommittedOffset, ConsumerSettings, ReadBounds, ReadRecord, RecordConsumer, RecordConsumers,
    SeekTo, Subscription, TopicPartition,
};
use crate::infrastructure::kafka::client::{Connection, QuietEvents, take_whatever_is_there};

/// What a consumer fetches ahead, in KiB.
const AHEAD: &str = "1024";

/// How long the end of a consumer is waited for; it goes on without its caller.
const CLOSING: Duration = Duration::from_secs(10);

/// Consumers of a real Kafka.
pub struct KafkaRecordConsumers {
    config: ClientConfig,
    connection: Arc<Connection>,
    memory: MemoryShares,
}

impl KafkaRecordConsumers {
    pub fn new(config: ClientConfig, connection: Arc<Connection>) -> Self {
        Self { config, connection, memory: MemoryShares::default() }
    }
}

impl RecordConsumers for KafkaRecordConsumers {
    fn open(&self, group: &str, settings: &ConsumerSettings) -> Result<Arc<dyn RecordConsumer>, AdministrationError> {
        let mut config = self.config.clone();
        let silence = settings.longest_silence.as_millis().to_string();
        config
            .set("group.id", group)
            .set("statistics.interval.ms", "0")
            .set("auto.offset.reset", if settings.from_beginning { "earliest" } else { "latest" })
            .set("enable.auto.commit", settings.commits_itself.to_string())
            .set("auto.commit.interval.ms", "5000")
            .set("enable.auto.offset.store", "false")
            .set("max.poll.interval.ms", silence)
            .set("queued.max.messages.kbytes", AHEAD)
            .set("fetch.message.max.bytes", "1048576");
        take_whatever_is_there(&mut config);
        let shared = Arc::new(Shared::new(Waiting::of(self.memory.of(settings.tenant.as_ref()))));
        let quiet = QuietEvents { client: "a caller's consumer", connection: self.connection.clone() };
        let consumer =
            config.create_with_context(ReaderEvents { quiet, shared: shared.clone() }).map_err(Refused::from)?;
        let reading = Reading::new(consumer, settings, shared.clone());
        Ok(Arc::new(KafkaRecordConsumer { reading: Arc::new(tokio::sync::Mutex::new(Some(reading))), shared }))
    }
}

/// A consumer; what it is asked for, it does one after the other.
struct KafkaRecordConsumer {
    /// None once it is closed.
    reading: Arc<tokio::sync::Mutex<Option<Reading>>>,
    shared: Arc<Shared>,
}

impl KafkaRecordConsumer {
    /// Whoever stops waiting for it does not stop it: what is asked next waits until it is done.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, AdministrationError> {
        let reading = self.reading.clone().lock_owned().await;
        let working = move || reading.as_ref().map(work);
        let done = tokio::task::spawn_blocking(working).await;
        let done = done.map_err(|panicked| AdministrationError::Failed(panicked.to_string()))?;
        let done = done.ok_or_else(|| AdministrationError::Failed("it is closed".to_owned()))?;
        Ok(done.map_err(Refused::from)?)
    }
}

impl Drop for KafkaRecordConsumer {
    fn drop(&mut self) {
        if self.reading.try_lock().is_ok_and(|reading| reading.is_none()) {
            return;
        }
        self.shared.is_closing.store(true, Ordering::Relaxed);
        // It leaves its group, which may take seconds.
        let reading = self.reading.clone();
        std::thread::spawn(move || drop(reading.blocking_lock().take()));
    }
}

/// Says so when a call is given up.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl RecordConsumer for KafkaRecordConsumer {
    async fn subscribe(&self, subscription: &Subscription) -> Result<(), AdministrationError> {
        match subscription.clone() {
            // librdkafka would take what is no name for a pattern, and compile it without bounds.
            Subscription::Topics(topics) if topics.iter().all(|topic| is_a_topic(topic)) => {
                self.ask(move |inner| inner.subscribe(&topics)).await
            }
            Subscription::Topics(_) => Err(AdministrationError::Invalid("there can be no such topic".to_owned())),
            Subscription::Pattern(pattern) => self.ask(|inner| inner.follow(pattern)).await,
        }
    }

    async fn unsubscribe(&self) -> Result<(), AdministrationError> {
        self.ask(|inner| {
            inner.store();
            inner.consumer.unsubscribe();
            inner.consumer.unassign()?;
            inner.begin_anew();
            Ok(())
        })
        .await
    }

    async fn assign(&self, partitions: &[TopicPartition]) -> Result<(), AdministrationError> {
        let partitions = list(partitions.iter().map(|partition| (partition, Offset::Invalid)))?;
        self.ask(move |inner| {
            inner.store();
            inner.consumer.assign(&partitions)?;
            inner.begin_anew();
            Ok(())
        })
        .await
    }

    async fn assignment(&self) -> Result<Vec<TopicPartition>, AdministrationError> {
        self.ask(|inner| {
            Ok(inner
                .consumer
                .assignment()?
                .elements()
                .iter()
                .map(|one| place_of(one.topic(), one.partition()))
                .collect())
        })
        .await
    }

    async fn read_ahead(&self, bounds: ReadBounds) -> Result<(), AdministrationError> {
        let gone = Gone(Arc::default());
        let has_gone = gone.0.clone();
        self.ask(move |inner| inner.fill(bounds, &has_gone)).await
    }

    fn take(&self, most_bytes: usize) -> Vec<ReadRecord> {
        self.shared.state().waiting.take(most_bytes)
    }

    fn gave(&self, records: &[ReadRecord]) {
        let behind = records.iter().map(|record| (record.place.clone(), record.offset + 1));
        self.shared.state().given.extend(behind);
    }

    fn take_back(&self, records: Vec<ReadRecord>) {
        self.shared.state().waiting.take_back(records);
    }

    async fn commit(&self, offsets: Option<&[CommittedOffset]>) -> Result<(), AdministrationError> {
        let named = match offsets {
            Some(offsets) => Some(list(offsets.iter().map(|each| (&each.place, Offset::Offset(each.offset))))?),
            None => None,
        };
        self.ask(move |inner| {
            let offsets = match named {
                Some(offsets) => offsets,
                None => inner.given()?,
            };
            if offsets.count() == 0 { Ok(()) } else { inner.consumer.commit(&offsets, CommitMode::Sync) }
        })
        .await
    }

    async fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>, AdministrationError> {
        let asked = list(partitions.iter().map(|partition| (partition, Offset::Invalid)))?;
        self.ask(move |inner| {
            let found = inner.consumer.committed_offsets(asked, TIMEOUT)?;
            let committed = found.elements().into_iter().filter_map(|element| match element.offset() {
                Offset::Offset(offset) => {
                    Some(CommittedOffset { place: place_of(element.topic(), element.partition()), offset })
                }
                _ => None,
            });
            Ok(committed.collect())
        })
        .await
    }

    async fn seek(&self, places: &[(TopicPartition, SeekTo)]) -> Result<(), AdministrationError> {
        let places = places.to_vec();
        self.ask(move |inner| inner.seek(&places)).await
    }

    async fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        let reading = self.reading.clone();
        let closing = tokio::spawn(async move {
            let mut reading = reading.lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let Some(reading) = reading.take() else { return };
                if let Err(error) = reading.finish() {
                    tracing::debug!(target: "kafka", %error, "what a caller's consumer has read is not committed");
                }
                // It leaves its group.
                drop(reading);
            })
            .await
        });
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::debug!(target: "kafka", "a caller's consumer takes its time to leave its group");
        }
    }
}

fn list<'a>(
    elements: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
) -> Result<TopicPartitionList, AdministrationError> {
    let mut list = TopicPartitionList::new();
    for (place, offset) in elements {
        // librdkafka takes any, and ends the process over it later.
        if !is_a_topic(&place.topic) || place.partition < 0 {
            return Err(AdministrationError::Invalid("there can be no such topic or partition".to_owned()));
        }
        list.add_partition_offset(&place.topic, place.partition, offset).map_err(Refused::from)?;
    }
    Ok(list)
}
