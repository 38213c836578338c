//! Tables that people read events in: in the installation's database, or in another PostgreSQL.

mod plan;
mod postgres;
mod sqlite;
mod statements;

pub use plan::read_plan;
pub use postgres::PgEventTables;
pub use sqlite::SqliteEventTables;
