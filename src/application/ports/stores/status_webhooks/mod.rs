mod status_changes;
mod status_subscriptions;

pub use status_changes::{Compose, StatusChanges, Told};
pub use status_subscriptions::StatusSubscriptions;
