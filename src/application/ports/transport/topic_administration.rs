use async_trait::async_trait;

use super::administration_error::AdministrationError;

/// The topics of a Kafka: which there are, how they are set, and where their partitions begin and end.
///
/// An implementation
/// - changes nothing by asking: a topic that is asked about is not created;
/// - hands on the broker's own words where it refuses something;
/// - answers within seconds, with [`AdministrationError::Unavailable`] while no broker does.
#[async_trait]
pub trait TopicAdministration: Send + Sync {
    async fn cluster(&self) -> Result<Cluster, AdministrationError>;

    /// The name of the cluster when it was last heard of, for what Kafka need not be asked about. None: it was not, or is not kept.
    fn last_known_id(&self) -> Option<String> {
        None
    }

    /// The names of all topics, in order, Kafka's own among them.
    async fn names(&self) -> Result<Vec<String>, AdministrationError>;

    /// These topics, in this order.
    ///
    /// # Errors
    /// [`AdministrationError::Unknown`] when one of them is not there.
    async fn describe(&self, topics: &[String]) -> Result<Vec<Topic>, AdministrationError>;

    /// With `validate_only`, only finds out whether it could.
    async fn create(&self, topic: &NewTopic, validate_only: bool) -> Result<(), AdministrationError>;

    async fn delete(&self, topic: &str) -> Result<(), AdministrationError>;

    /// Adds partitions until there are so many.
    async fn set_partitions(&self, topic: &str, count: i32) -> Result<(), AdministrationError>;

    /// All settings of these topics, in their order.
    async fn settings(&self, topics: &[String]) -> Result<Vec<Vec<TopicSetting>>, AdministrationError>;

    async fn change_settings(
        &self,
        topic: &str,
        changes: &[SettingChange],
        validate_only: bool,
    ) -> Result<(), AdministrationError>;

    /// Where these partitions, which are there, have a place, in their order.
    async fn offsets(&self, partitions: &[TopicPartition], place: Place) -> Result<Vec<i64>, AdministrationError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub id: String,
    pub controller: Option<i32>,
    pub brokers: Vec<BrokerNode>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerNode {
    pub id: i32,
    pub host: String,
    pub port: u16,
    pub rack: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// As Kafka writes it; a topic that is made anew has another. Empty where brokers do not know it.
    pub id: String,
    /// Kafka's own, such as `__consumer_offsets`.
    pub is_internal: bool,
    /// In order.
    pub partitions: Vec<TopicPartitionState>,
}

impl Topic {
    /// Of its first partition: replicas may move one partition at a time.
    pub fn replication_factor(&self) -> usize {
        self.partitions.first().map_or(0, |partition| partition.replicas.len())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitionState {
    pub id: i32,
    pub leader: Option<i32>,
    /// The first is the preferred leader.
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

/// A topic to be made. What is none is the broker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i32>,
    /// The brokers of each partition, from the first on, instead of two numbers; empty where there are those.
    pub assignments: Vec<Vec<i32>>,
    pub settings: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSetting {
    pub name: String,
    /// None where the broker keeps it to itself.
    pub value: Option<String>,
    pub is_default: bool,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// As Kafka calls it: `DYNAMIC_TOPIC_CONFIG`, `DEFAULT_CONFIG`, …
    pub source: &'static str,
    pub synonyms: Vec<SettingSynonym>,
}

/// Where a setting's value could come from, the one that counts first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    pub name: String,
    /// None: back to the broker's default.
    pub value: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The oldest record that is kept.
    Beginning,
    /// Behind the newest record.
    End,
    /// The first record that is not older than these milliseconds since 1970; the end where there is none.
    Time(i64),
}
