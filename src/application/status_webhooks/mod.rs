//! Status webhooks: who subscribes to changes of states, and how each change is told.

mod change_subscription;
mod create_subscription;
pub mod event;
mod read_subscriptions;
pub mod secrets;
mod tell_changes;
mod try_subscription;
mod webhook;

pub use change_subscription::{ChangeSubscription, ChangeSubscriptionCommand, ChangeSubscriptionError};
pub use create_subscription::{
    ConfiguredSubscription, CreateSubscription, CreateSubscriptionCommand, CreateSubscriptionError,
};
pub use read_subscriptions::{ReadSubscriptions, ReadSubscriptionsError};
pub use tell_changes::TellChanges;
pub use try_subscription::{TrySubscription, TrySubscriptionError};
