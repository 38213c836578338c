//! What clients of Kafka's REST Proxy ask for beside publishing: topics, consumer groups, and records of topics.

mod consumer_instance;
mod consumer_instances;
mod delete_topic;
mod read_groups;
mod reset_offsets;

pub use consumer_instance::{CreateConsumer, FetchBounds, Fetched, Format, InstanceError, InstanceName};
pub use consumer_instances::{ConsumerInstances, Reads};
pub use delete_topic::{DeleteTopic, DeleteTopicError, OwnTopic};
pub use read_groups::{GroupLags, Lag, ReadGroups};
pub use reset_offsets::{NewOffset, ResetError, ResetOffsets, ResetTo, Selection};

use std::sync::Arc;

use crate::application::ports::{GroupAdministration, TopicAdministration};

/// A Kafka, as its administrators and the clients of a REST Proxy see it.
pub struct KafkaRest {
    pub topics: Arc<dyn TopicAdministration>,
    pub delete_topic: DeleteTopic,
    pub groups: ReadGroups,
    pub reset_offsets: ResetOffsets,
    pub consumers: Arc<ConsumerInstances>,
}

/// Also for a command, which serves nothing and moves whatever group it is told to.
pub fn groups(
    topics: &Arc<dyn TopicAdministration>,
    groups: &Arc<dyn GroupAdministration>,
    own_group: Option<String>,
) -> (ReadGroups, ResetOffsets) {
    let (topics, groups) = (topics.clone(), groups.clone());
    (ReadGroups { topics: topics.clone(), groups: groups.clone() }, ResetOffsets { topics, groups, own_group })
}
