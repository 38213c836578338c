//! What is consumed, as a member of the group.

mod consumer_thread;
mod membership;
mod message_source;

pub use consumer_thread::ConsumerThread;
pub use membership::Membership;
pub use message_source::{KafkaMessageSource, Link};
