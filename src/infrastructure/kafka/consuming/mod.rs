//! What is consumed, as a member of the group.

mod consumer_thread;
mod link;
mod membership;
mod message_source;
mod standing;

pub use message_source::KafkaMessageSource;
