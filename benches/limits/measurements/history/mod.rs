//! What grows with what was sent before.

pub mod idle;
pub mod large_table;
pub mod left;
pub mod queries;
pub mod short_weeks;
pub mod soak;
pub mod waiting;
