//! The way from the queue to the channel.

pub mod channel_sender;
mod message_queue;
