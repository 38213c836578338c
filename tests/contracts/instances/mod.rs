//! The configured channels.

mod deleted_instances;
mod handshakes;
mod instance_repository;
