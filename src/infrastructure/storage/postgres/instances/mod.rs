//! Instances: many looked up in one statement; and those that were deleted.

mod call_turns;
mod deleted_instances;
mod handshakes;
mod instance_lookups;
mod instance_repository;
mod instance_row;
mod paces;

pub use call_turns::PgCallTurns;
pub use deleted_instances::PgDeletedInstances;
pub use handshakes::PgHandshakes;
pub use instance_repository::PgInstanceRepository;
pub use paces::PgPaces;
