//! Kafka topics that clients publish to: their names, and the records in them.

mod name;
mod pattern;
mod record;

pub use name::{InvalidTopicName, TopicName};
pub use pattern::{InvalidTopicPattern, TopicPattern};
pub use record::{Origin, RecordPosition, RecordTime, TopicRecord};
