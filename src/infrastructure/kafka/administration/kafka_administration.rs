//! Topics and groups of a real Kafka.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use rdkafka::config::ClientConfig;
use tokio::sync::Semaphore;

use super::known_cluster::KnownCluster;
use super::names::is_a_topic;
use super::native::{self, NativeClient, Refused};
use crate::application::ports::{
    AdministrationError, Clock, Cluster, CommittedOffset, Group, GroupAdministration, ListedGroup, NewTopic, Place,
    SettingChange, Topic, TopicAdministration, TopicPartition, TopicSetting,
};
use crate::infrastructure::kafka::client::Connection;

/// Each holds a thread while it waits for a broker.
const CALLS_AT_ONCE: usize = 8;

/// Asks a Kafka about its topics and groups. It connects when it is first asked.
#[derive(Clone)]
pub struct KafkaAdministration(Arc<Inner>);

struct Inner {
    config: ClientConfig,
    connection: Arc<Connection>,
    client: OnceLock<NativeClient>,
    places: Semaphore,
    cluster: Arc<KnownCluster>,
}

impl KafkaAdministration {
    pub fn new(config: ClientConfig, connection: Arc<Connection>, clock: Arc<dyn Clock>) -> Self {
        let places = Semaphore::new(CALLS_AT_ONCE);
        let cluster = Arc::new(KnownCluster::new(clock));
        Self(Arc::new(Inner { config, connection, client: OnceLock::new(), places, cluster }))
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&NativeClient) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, AdministrationError> {
        let _place = self.0.places.acquire().await;
        let inner = self.0.clone();
        let answered = tokio::task::spawn_blocking(move || question(inner.client()?));
        Ok(answered.await.map_err(|panicked| AdministrationError::Failed(panicked.to_string()))??)
    }
}

impl Inner {
    fn client(&self) -> Result<&NativeClient, Refused> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = NativeClient::new(&self.config, self.connection.clone())?;
        Ok(self.client.get_or_init(|| client))
    }
}

#[async_trait]
impl TopicAdministration for KafkaAdministration {
    async fn cluster(&self) -> Result<Cluster, AdministrationError> {
        let this = self.clone();
        self.0.cluster.get(async move { this.ask(native::describe_cluster).await }).await
    }

    fn last_known_id(&self) -> Option<String> {
        self.0.cluster.id()
    }

    async fn names(&self) -> Result<Vec<String>, AdministrationError> {
        self.ask(native::topic_names).await
    }

    async fn describe(&self, topics: &[String]) -> Result<Vec<Topic>, AdministrationError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let names = known(topics)?;
        let described = self.ask(move |client| native::describe_topics(client, &names)).await?;
        let mut described = described.into_iter().collect::<Result<Vec<_>, _>>()?;
        let places: HashMap<&str, usize> = topics.iter().map(String::as_str).zip(0..).collect();
        described.sort_by_key(|topic| places.get(topic.name.as_str()).copied());
        Ok(described)
    }

    async fn create(&self, topic: &NewTopic, validate_only: bool) -> Result<(), AdministrationError> {
        if !is_a_topic(&topic.name) {
            return Err(AdministrationError::Invalid(
                "Topic name is invalid: it must be 1 to 249 letters, digits, `.`, `_` and `-`".to_owned(),
            ));
        }
        let topic = topic.clone();
        self.ask(move |client| native::create_topic(client, &topic, validate_only)).await
    }

    async fn delete(&self, topic: &str) -> Result<(), AdministrationError> {
        let topic = known_one(topic)?;
        self.ask(move |client| native::delete_topic(client, &topic)).await
    }

    async fn set_partitions(&self, topic: &str, count: i32) -> Result<(), AdministrationError> {
        let topic = known_one(topic)?;
        let count = usize::try_from(count).unwrap_or_default();
        self.ask(move |client| native::set_partitions(client, &topic, count)).await
    }

    async fn settings(&self, topics: &[String]) -> Result<Vec<Vec<TopicSetting>>, AdministrationError> {
        let topics = known(topics)?;
        self.ask(move |client| native::describe_settings(client, &topics)).await
    }

    async fn change_settings(
        &self,
        topic: &str,
        changes: &[SettingChange],
        validate_only: bool,
    ) -> Result<(), AdministrationError> {
        let (topic, changes) = (known_one(topic)?, changes.to_vec());
        self.ask(move |client| native::alter_settings(client, &topic, &changes, validate_only)).await
    }

    async fn offsets(&self, partitions: &[TopicPartition], place: Place) -> Result<Vec<i64>, AdministrationError> {
        let asked = partitions.to_vec();
        let mut offsets = self.ask(move |client| native::list_offsets(client, &asked, place)).await?;
        if matches!(place, Place::Time(_)) && offsets.contains(&-1) {
            let asked = partitions.to_vec();
            let ends = self.ask(move |client| native::list_offsets(client, &asked, Place::End)).await?;
            for (offset, end) in offsets.iter_mut().zip(ends).filter(|(offset, _)| **offset < 0) {
                *offset = end;
            }
        }
        Ok(offsets)
    }
}

/// What no topic can be called is asked of no broker: it would take a longer name for a broken request.
fn known(topics: &[String]) -> Result<Vec<String>, AdministrationError> {
    topics.iter().map(|topic| known_one(topic)).collect()
}

fn known_one(topic: &str) -> Result<String, AdministrationError> {
    let unknown = || AdministrationError::Unknown("Broker: Unknown topic or partition".to_owned());
    is_a_topic(topic).then(|| topic.to_owned()).ok_or_else(unknown)
}

#[async_trait]
impl GroupAdministration for KafkaAdministration {
    async fn list(&self) -> Result<Vec<ListedGroup>, AdministrationError> {
        let mut groups = self.ask(native::list_groups).await?;
        groups.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(groups)
    }

    async fn describe(&self, group: &str) -> Result<Group, AdministrationError> {
        let group = group.to_owned();
        self.ask(move |client| native::describe_group(client, &group)).await
    }

    async fn committed(&self, group: &str) -> Result<Vec<CommittedOffset>, AdministrationError> {
        let group = group.to_owned();
        let mut committed = self.ask(move |client| native::committed_offsets(client, &group)).await?;
        committed.sort_unstable_by(|one, other| one.place.cmp(&other.place));
        Ok(committed)
    }

    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), AdministrationError> {
        let (group, offsets) = (group.to_owned(), offsets.to_vec());
        self.ask(move |client| native::alter_offsets(client, &group, &offsets)).await
    }
}
