//! This process among others: its name, its heartbeat, and what it holds in memory.

pub mod answered_claims;
pub mod held_messages;
pub mod keep_node_alive;
pub mod node_identity;
pub mod node_watch;
pub mod tally;
pub mod this_node;
pub mod under_way;
pub mod unreconciled;
