//! Broadcasts, and how messages are made of them.

mod broadcast_expansion;
mod broadcast_repository;

pub use broadcast_expansion::{BroadcastExpansion, TakeBroadcasts};
pub use broadcast_repository::{
    AcceptedBroadcast, BroadcastChange, BroadcastRepository, CancelledMessages, ChangedBroadcast, KeptBroadcast,
};
