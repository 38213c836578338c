//! The weeks of messages and attempts: made ahead of time, repaired, vacuumed when they are over, looked at while something in
//! them is open, and dropped.
//!
//! Their bounds are read with `pg_get_expr(relpartbound, 0)`. With the partition's id in the place of the 0, PostgreSQL opens the
//! partition to read its columns, which bounds have none of, and so waits for whatever has locked it.

mod creation;
mod failures;
mod indexes;
pub mod needed;
mod overhaul;
mod parameters;
mod partition;
mod retention;
mod standing;
mod strays;

pub use creation::keep;
pub use overhaul::overhaul;
pub use retention::delete_history;
pub use standing::standing;
