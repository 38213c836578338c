//! The configured channels.

mod instance_repository;
