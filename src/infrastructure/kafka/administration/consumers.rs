//! Members of consumer groups, for callers of ours.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::names::is_a_topic;
use super::native::Refused;
use super::reading::{Reading, State, TIMEOUT, place_of};
use crate::application::ports::{
    AdministrationError, CommittedOffset, ConsumerSettings, ReadBounds, ReadRecord, RecordConsumer, RecordConsumers,
    SeekTo, Subscription, TopicPartition,
};
use crate::infrastructure::kafka::client::{Connection, QuietEvents, take_whatever_is_there};

/// What a consumer fetches ahead, in KiB.
const AHEAD: &str = "1024";

/// Consumers of a real Kafka.
pub struct KafkaRecordConsumers {
    config: ClientConfig,
    connection: Arc<Connection>,
}

impl KafkaRecordConsumers {
    pub fn new(config: ClientConfig, connection: Arc<Connection>) -> Self {
        Self { config, connection }
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
        let events = QuietEvents { client: "a caller's consumer", connection: self.connection.clone() };
        let consumer = config.create_with_context(events).map_err(Refused::from)?;
        let commits_itself = settings.commits_itself;
        let inner = Reading { consumer, commits_itself, state: Mutex::default() };
        Ok(Arc::new(KafkaRecordConsumer { inner: Some(Arc::new(inner)), turn: tokio::sync::Mutex::default() }))
    }
}

/// A consumer; what it is asked for, it does one after the other.
struct KafkaRecordConsumer {
    /// None once it is dropped.
    inner: Option<Arc<Reading>>,
    turn: tokio::sync::Mutex<()>,
}

impl KafkaRecordConsumer {
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, AdministrationError> {
        let _turn = self.turn.lock().await;
        self.ask_in_turn(work).await
    }

    async fn ask_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, AdministrationError> {
        let Some(inner) = self.inner.clone() else {
            return Err(AdministrationError::Failed("it is closed".to_owned()));
        };
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        let done = done.map_err(|panicked| AdministrationError::Failed(panicked.to_string()))?;
        Ok(done.map_err(Refused::from)?)
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        self.inner.as_ref().map(|inner| inner.state())
    }
}

impl Drop for KafkaRecordConsumer {
    fn drop(&mut self) {
        // It leaves its group, which may take seconds.
        let inner = self.inner.take();
        std::thread::spawn(move || drop(inner));
    }
}

#[async_trait]
impl RecordConsumer for KafkaRecordConsumer {
    async fn subscribe(&self, subscription: &Subscription) -> Result<(), AdministrationError> {
        let topics = match subscription {
            Subscription::Topics(topics) if topics.iter().all(|topic| is_a_topic(topic)) => topics.clone(),
            Subscription::Topics(_) => {
                return Err(AdministrationError::Invalid("there can be no such topic".to_owned()));
            }
            Subscription::Pattern(pattern) if pattern.contains('\0') => {
                return Err(AdministrationError::Invalid("the pattern has a NUL in it".to_owned()));
            }
            // Java's clients match the whole name.
            Subscription::Pattern(pattern) => vec![format!("^({pattern})$")],
        };
        self.ask(move |inner| {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            inner.state().waiting.clear();
            inner.consumer.subscribe(&topics)
        })
        .await
    }

    async fn unsubscribe(&self) -> Result<(), AdministrationError> {
        self.ask(|inner| {
            inner.store();
            inner.state().waiting.clear();
            inner.consumer.unsubscribe();
            inner.consumer.unassign()
        })
        .await
    }

    async fn assign(&self, partitions: &[TopicPartition]) -> Result<(), AdministrationError> {
        let partitions = list(partitions.iter().map(|partition| (partition, Offset::Invalid)))?;
        self.ask(move |inner| {
            inner.store();
            inner.state().waiting.clear();
            inner.consumer.assign(&partitions)
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

    async fn read(&self, bounds: ReadBounds) -> Result<Vec<ReadRecord>, AdministrationError> {
        let _turn = self.turn.lock().await;
        self.ask_in_turn(move |inner| inner.fill(bounds)).await?;
        // From here on nothing is waited for: what is taken is given out.
        let Some(mut state) = self.state() else { return Ok(Vec::new()) };
        Ok(state.take(bounds.most_bytes))
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
        let closed = self.ask(|inner| {
            inner.store();
            let given = if inner.commits_itself { inner.given()? } else { TopicPartitionList::new() };
            if given.count() == 0 { Ok(()) } else { inner.consumer.commit(&given, CommitMode::Sync) }
        });
        if let Err(error) = closed.await {
            tracing::debug!(target: "kafka", %error, "what a caller's consumer has read is not committed");
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
