//! Status webhooks: who is told, and what is to be told.

mod status_changes;
mod status_subscriptions;
mod telling;

pub use status_changes::PgStatusChanges;
pub use status_subscriptions::PgStatusSubscriptions;
