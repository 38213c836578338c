//! Subscriptions, and the messages that events became.

mod event_deliveries;
mod subscription_repository;
