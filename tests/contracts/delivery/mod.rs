//! The way from the queue to the channel.

mod call_turns;
pub mod channel_sender;
mod message_queue;
mod paces;
