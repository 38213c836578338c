//! Events, as either database has them.

mod requests;
mod rows;

pub(in crate::infrastructure::storage) use rows::event_columns;
pub use rows::{entry, event};
