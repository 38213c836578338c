//! The way of a message from the queue to its channel, and what its try leads to.

pub mod admission;
pub mod consume_messages;
pub mod consumption;
pub mod deliver_message;
pub mod direct_message_queue;
pub mod keep_broker;
pub mod progress;
pub mod put_off_message;
