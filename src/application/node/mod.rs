//! This process among others: its name, its heartbeat, and what it holds in memory.

pub mod keep_node_alive;
pub use keep_node_alive::KeepNodeAlive;

pub mod answered_claims;
pub mod clock_watch;
pub mod held_messages;
pub mod node_identity;
pub mod node_watch;
pub mod tally;
pub mod this_node;
pub mod under_way;
pub mod unreconciled;
pub mod watch_nodes;
pub use watch_nodes::WatchNodes;
