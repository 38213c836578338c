//! The way of a message from the queue to its channel, and what its try leads to.

pub mod consume_messages;
pub use consume_messages::ConsumeMessages;

pub mod deliver_message;
pub use deliver_message::DeliverMessage;

pub mod direct_message_queue;
pub use direct_message_queue::DirectMessageQueue;

pub mod keep_broker;
pub use keep_broker::KeepBroker;

pub mod one_call;
pub use one_call::OneCall;

pub mod put_off_message;
pub use put_off_message::PutOffMessage;

pub mod admission;
pub mod calls;
pub mod consumption;
pub mod instances_off;
pub mod pacing;
pub mod progress;
pub mod returned_instances;
