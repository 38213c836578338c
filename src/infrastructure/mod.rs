//! One folder a technology, and the composition root, which picks adapters from the configuration.

pub mod auth;
pub mod cached_instances;
pub mod channels;
pub mod composition;
pub mod config;
pub mod database;
pub mod direct;
pub mod kafka;
pub mod logging;
pub mod postgres;
pub mod sql;
pub mod sqlite;
pub mod system;
pub mod transport;
