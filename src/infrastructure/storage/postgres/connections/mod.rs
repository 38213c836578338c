//! The ways to the server: a pool that callers share, a few connections for what tenants look for, and connections of
//! their own for what must not wait for either.

mod apart;
mod certificates;
mod lease;
mod own_connection;
mod pool;
mod pooler;
mod room;
mod searches;
mod server;
mod server_version;
mod trust;

pub use apart::PgConnectionApart;
#[cfg(test)]
pub(super) use own_connection::LOOKS;
pub(super) use own_connection::{CHANGING_PROBES, OwnConnection, PROBES, begin_changing_probes, begin_look};
pub use pool::PgDatabase;
pub(super) use searches::Search;
pub use server_version::ServerVersion;
pub(super) use trust::takes_writes;
