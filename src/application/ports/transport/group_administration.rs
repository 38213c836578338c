use async_trait::async_trait;

use super::administration_error::AdministrationError;
use super::topic_administration::TopicPartition;

/// The consumer groups of a Kafka, of either protocol: those that members agree on among themselves, and those that the broker
/// leads (KIP-848).
#[async_trait]
pub trait GroupAdministration: Send + Sync {
    /// All groups, in order of their names.
    async fn list(&self) -> Result<Vec<ListedGroup>, AdministrationError>;

    /// A group as it is. One that there is not is [`GroupState::Dead`] and has no members.
    async fn describe(&self, group: &str) -> Result<Group, AdministrationError>;

    /// What the group has committed, in order; nothing for a group that there is not.
    async fn committed(&self, group: &str) -> Result<Vec<CommittedOffset>, AdministrationError>;

    /// Commits in the group's name. A group that there is not is made by it.
    ///
    /// # Errors
    /// [`AdministrationError::Active`] while it has members: these would commit over it.
    async fn commit(&self, group: &str, offsets: &[CommittedOffset]) -> Result<(), AdministrationError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub id: String,
    /// It has committed, and never had members.
    pub is_simple: bool,
    pub state: GroupState,
    pub protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: String,
    pub is_simple: bool,
    pub state: GroupState,
    pub protocol: Protocol,
    /// Empty where nothing was agreed on.
    pub assignor: String,
    /// The broker that keeps its offsets.
    pub coordinator: Option<i32>,
    /// `host:port` of it.
    pub coordinator_address: String,
    pub members: Vec<Member>,
}

/// As Kafka calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    PreparingRebalance,
    CompletingRebalance,
    Stable,
    Dead,
    Empty,
    /// One that our client does not know, such as `Assigning` and `Reconciling` of KIP-848.
    Unknown,
}

impl GroupState {
    /// As the REST Proxy writes it.
    pub fn as_constant(self) -> &'static str {
        match self {
            Self::PreparingRebalance => "PREPARING_REBALANCE",
            Self::CompletingRebalance => "COMPLETING_REBALANCE",
            Self::Stable => "STABLE",
            Self::Dead => "DEAD",
            Self::Empty => "EMPTY",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// As Kafka's own tools write it.
    pub fn as_word(self) -> &'static str {
        match self {
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
            Self::Empty => "Empty",
            Self::Unknown => "Unknown",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    Consumer,
    Unknown,
}

impl Protocol {
    pub fn as_constant(self) -> &'static str {
        match self {
            Self::Classic => "CLASSIC",
            Self::Consumer => "CONSUMER",
            Self::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: String,
    /// Of static membership.
    pub instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    pub assigned: Vec<TopicPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub place: TopicPartition,
    /// Of the record to be read next.
    pub offset: i64,
}
