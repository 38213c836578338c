//! A file under `./data`: the embedded default, for one process and no set-up.
//!
//! Mirrors `postgres/` file by file.

mod access;
mod api_key_repository;
mod broadcasts;
mod connections;
mod error;
mod events;
#[cfg(test)]
mod full_disk_tests;
mod groups;
mod inbound;
mod instances;
mod messages;
mod node_repository;
mod portion;
mod receipts;
mod row;
mod status_webhooks;
mod storage;
mod stores;
mod subscriptions;

pub use access::{ProcessRequestAllowances, SqliteSignInFailures, SqliteUsers};
pub use api_key_repository::SqliteApiKeyRepository;
pub use broadcasts::{SqliteBroadcastExpansion, SqliteBroadcastRepository};
pub use connections::{Backup, BackupError, InstallationLock, SqliteDatabase, back_up};
pub use events::{SqliteEventRepository, SqliteEventSteps, SqliteEventTypes};
pub use groups::{SqliteGroupMembers, SqliteGroupRepository, SqliteGroupSyncs};
pub use inbound::SqliteReceivedMessages;
pub use instances::{
    ProcessCallTurns, SqliteDeletedInstances, SqliteHandshakes, SqliteInstanceRepository, SqlitePaces,
};
#[cfg(test)]
pub use messages::STATEMENTS;
pub use messages::{
    SqliteCancellations, SqliteDueMessages, SqliteFailedMessages, SqliteMessageRepository, SqliteMessageSearch,
    SqliteOwedDeadLetters,
};
pub use node_repository::SqliteNodeRepository;
pub use receipts::{SqliteReceiptInbox, SqliteReportedSends, SqliteStuckMessages};
pub use status_webhooks::{SqliteStatusChanges, SqliteStatusSubscriptions};
pub use storage::SqliteStorage;
pub use subscriptions::{SqliteEventDeliveries, SqliteSubscriptionRepository};
