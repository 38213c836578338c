//! Events, as either database has them.

mod requests;
mod rows;

pub use rows::{entry, event};
