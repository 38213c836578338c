//! Subscriptions turn events into messages.

pub mod manage_subscriptions;
mod portions;
pub mod replay_events;
mod route_events;
pub mod shape_message;
mod sweep_deliveries;
pub mod try_subscription;

pub use manage_subscriptions::ManageSubscriptions;
pub use replay_events::ReplayEvents;
pub use route_events::RouteEvents;
pub use shape_message::ShapeMessage;
pub use sweep_deliveries::SweepDeliveries;
pub use try_subscription::TrySubscription;
