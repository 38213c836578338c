//! The stores behind the ports: in SQLite or in PostgreSQL, as the configuration says.

pub mod caching;
#[cfg(test)]
mod changes_tests;
pub mod counting;
pub mod database;
pub mod limits;
pub mod node_outbox;
pub mod postgres;
mod search_places;
pub mod shared;
pub mod sqlite;
