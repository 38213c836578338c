//! How messages travel from their acceptance to their delivery, and what else there is in the Kafka that they travel through.

mod administration_error;
mod broker;
mod dead_letter_topic;
mod group_administration;
mod message_queue;
mod message_source;
mod record_consumers;
mod topic_administration;
mod topic_producer;

pub use administration_error::AdministrationError;
pub use broker::Broker;
pub use dead_letter_topic::DeadLetterTopic;
pub use group_administration::{
    CommittedOffset, Group, GroupAdministration, GroupState, ListedGroup, Member, Protocol,
};
pub use message_queue::{Handover, MessageQueue, QueueError, QueueScope};
pub use message_source::{Arrival, DeliveryRequest, KeptOut, MessageSource, Partition, Record};
pub use record_consumers::{
    ConsumerSettings, ReadBounds, ReadRecord, RecordConsumer, RecordConsumers, SeekTo, Subscription,
};
pub use topic_administration::{
    BrokerNode, Cluster, NewTopic, Place, SettingChange, SettingSynonym, Topic, TopicAdministration, TopicPartition,
    TopicPartitionState, TopicSetting,
};
pub use topic_producer::{LONGEST_PUBLICATION, PublishError, PublishErrorKind, Refusal, TopicProducer};
