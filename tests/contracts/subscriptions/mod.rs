//! Subscriptions, and the messages that events became.

mod event_deliveries;
mod subscription_repository;

pub use subscription_repository::subscription;
