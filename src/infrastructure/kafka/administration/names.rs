use crate::domain::topic::{InvalidTopicName, TopicName};

/// Kafka's own topics are some, too.
pub fn is_a_topic(name: &str) -> bool {
    !matches!(TopicName::parse(name), Err(InvalidTopicName::Malformed))
}
