//! Broadcasts: accepted, shown, paused, cancelled, and made into messages.

pub mod change_broadcast;
pub use change_broadcast::ChangeBroadcast;

pub mod expand_broadcasts;
pub use expand_broadcasts::ExpandBroadcasts;

pub mod read_broadcasts;
pub use read_broadcasts::ReadBroadcasts;

pub mod send_broadcast;
pub use send_broadcast::SendBroadcast;
