//! Production: many processes that share one database.
//!
//! Mirrors `sqlite/` file by file; what only a server needs has files of its own.

mod acceptance;
mod access;
mod api_key_repository;
mod broadcasts;
mod connections;
mod error;
mod events;
mod floor;
mod groups;
mod inbound;
mod instances;
mod messages;
mod migration;
mod named_weeks;
mod node_repository;
mod portion;
mod receipts;
mod row;
mod status_webhooks;
mod storage;
mod stores;
mod subscriptions;
mod weeks;

pub use access::{PgRequestAllowances, PgSignInFailures, PgUsers};
pub use api_key_repository::PgApiKeyRepository;
pub use broadcasts::{PgBroadcastExpansion, PgBroadcastRepository};
pub use connections::{PgConnectionApart, PgDatabase, ServerVersion};
pub use events::{PgEventRepository, PgEventSteps, PgEventTypes};
pub use groups::{PgGroupMembers, PgGroupRepository, PgGroupSyncs};
pub use inbound::PgReceivedMessages;
pub use instances::{PgCallTurns, PgDeletedInstances, PgHandshakes, PgInstanceRepository, PgPaces};
#[cfg(test)]
pub use messages::STATEMENTS;
pub use messages::{
    PgCancellations, PgDueMessages, PgFailedMessages, PgMessageRepository, PgMessageSearch, PgOwedDeadLetters,
};
pub use node_repository::PgNodeRepository;
pub use receipts::{PgReceiptInbox, PgReportedSends, PgStuckMessages};
pub use status_webhooks::{PgStatusChanges, PgStatusSubscriptions};
pub use storage::PgStorage;
pub use subscriptions::{PgEventDeliveries, PgSubscriptionRepository};
