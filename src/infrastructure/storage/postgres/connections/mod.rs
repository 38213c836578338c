//! The ways to the server: a pool that callers share, and connections of their own for what must not wait for them.

mod lease;
mod own_connection;
mod pool;

pub(super) use own_connection::{CHANGING_PROBES, OwnConnection, PROBES};
pub use pool::PgDatabase;
