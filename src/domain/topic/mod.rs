//! Kafka topics that clients publish to: their names, and the records in them.

mod name;
mod record;

pub use name::{InvalidTopicName, TopicName};
pub use record::{Origin, RecordPosition, TopicRecord};
