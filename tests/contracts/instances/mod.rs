//! The configured channels.

mod deleted_instances;
mod instance_repository;
