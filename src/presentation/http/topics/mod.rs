//! Publishing to topics over HTTP.

mod alike;
pub mod caller;
mod erp_body;
pub mod publish;
mod settings;
mod stringified;

pub use settings::{Deduplication, RepairCounts, TopicSettings, UnconfirmedAnswer};
