//! How messages travel from their acceptance to their delivery.

mod broker;
mod dead_letter_topic;
mod message_queue;
mod message_source;
mod topic_producer;

pub use broker::Broker;
pub use dead_letter_topic::DeadLetterTopic;
pub use message_queue::{Handover, MessageQueue, QueueError, QueueScope};
pub use message_source::{Arrival, DeliveryRequest, KeptOut, MessageSource, Partition, Record};
pub use topic_producer::{LONGEST_PUBLICATION, PublishError, PublishErrorKind, Refusal, TopicProducer};
