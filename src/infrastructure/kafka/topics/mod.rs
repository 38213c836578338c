//! The topics: their names, what creates those that are missing, and what the broker says of them.

mod keeper;
mod noticed;
mod own_times;
mod record_producer;
mod refusals;
mod replaceable;
mod settings;
mod topic_lookup;

pub use keeper::TopicKeeper;
pub use record_producer::KafkaTopicProducer;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Where messages travel.
    pub send: String,
    pub dead_letters: String,
}

impl Topics {
    pub fn new(prefix: &str) -> Self {
        Self { send: format!("{prefix}messaging.send"), dead_letters: format!("{prefix}messaging.send.dlq") }
    }
}
