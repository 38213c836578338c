//! What callers of ours ask of a Kafka beside publishing: its topics, its consumer groups, and records of its topics.

mod consumers;
mod followed_topics;
mod kafka_administration;
mod known_cluster;
mod memory_shares;
mod names;
mod native;
mod reader_events;
mod reading;
mod refusals;
mod waiting;

pub use consumers::KafkaRecordConsumers;
pub use kafka_administration::KafkaAdministration;
