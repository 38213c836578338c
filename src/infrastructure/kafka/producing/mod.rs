//! What is published: messages and dead letters.

mod dead_letter_topic;
mod message_queue;
mod producer;
mod publishing;
mod refusals;
mod reports;

pub use dead_letter_topic::KafkaDeadLetterTopic;
pub use message_queue::KafkaMessageQueue;
pub use producer::Producer;
