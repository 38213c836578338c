//! One folder a technology, and the composition root, which picks adapters from the configuration.

pub mod auth;
pub mod channels;
pub mod composition;
pub mod config;
pub mod expressions;
pub mod http_client;
pub mod kafka;
pub mod memory;
pub mod open_files;
pub mod private_directory;
pub mod receiving;
pub mod sources;
pub mod spool;
pub mod storage;
pub mod system;
pub mod tables;
pub mod telemetry;
