//! What grows with what was sent before.

mod filters;
pub mod idle;
pub mod large_table;
pub mod left;
mod long_history;
pub mod queries;
mod searchers;
pub mod searches;
pub mod short_weeks;
pub mod soak;
pub mod waiting;
