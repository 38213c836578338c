//! Instances: many looked up in one statement.

mod instance_lookups;
mod instance_repository;
mod instance_row;

pub use instance_repository::PgInstanceRepository;
