//! Events, their sources and their subscriptions, for operators.

pub mod events;
pub mod sources;
pub mod subscriptions;
