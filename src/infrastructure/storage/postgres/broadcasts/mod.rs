//! Broadcasts, and how messages are made of them.

mod broadcast_expansion;
mod broadcast_repository;

pub use broadcast_expansion::PgBroadcastExpansion;
pub use broadcast_repository::PgBroadcastRepository;
