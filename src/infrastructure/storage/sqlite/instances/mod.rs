//! Instances, those that were deleted, and whose turn it is to be sent through one.

mod call_turns;
mod deleted_instances;
mod handshakes;
mod instance_repository;
mod paces;

pub use call_turns::ProcessCallTurns;
pub use deleted_instances::SqliteDeletedInstances;
pub use handshakes::SqliteHandshakes;
pub use instance_repository::SqliteInstanceRepository;
pub use paces::SqlitePaces;
