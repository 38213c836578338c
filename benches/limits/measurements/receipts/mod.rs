//! What channels say later of messages.

pub mod applied;
pub mod events;
mod sent_messages;
