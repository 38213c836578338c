//! Instances, and those that were deleted.

mod deleted_instances;
mod instance_repository;

pub use deleted_instances::SqliteDeletedInstances;
pub use instance_repository::SqliteInstanceRepository;
