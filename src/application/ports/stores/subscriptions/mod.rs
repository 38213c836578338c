//! Subscriptions, and the messages that events became.

mod event_deliveries;
mod subscription_repository;

pub use event_deliveries::{EventDeliveries, EventMessage, NewDelivery};
pub use subscription_repository::SubscriptionRepository;
