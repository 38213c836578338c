//! A file under `./data`: the embedded default, for one process and no set-up.
//!
//! Mirrors `postgres/` file by file.

mod api_key_repository;
mod connections;
mod error;
mod events;
#[cfg(test)]
mod full_disk_tests;
mod inbound;
mod instances;
mod messages;
mod node_repository;
mod portion;
mod receipts;
mod row;
mod storage;
mod stores;

pub use api_key_repository::SqliteApiKeyRepository;
pub use connections::{Backup, BackupError, InstallationLock, SqliteDatabase, back_up};
pub use events::{SqliteEventRepository, SqliteEventSteps};
pub use inbound::SqliteReceivedMessages;
pub use instances::{ProcessCallTurns, SqliteDeletedInstances, SqliteInstanceRepository, SqlitePaces};
#[cfg(test)]
pub use messages::STATEMENTS;
pub use messages::{
    SqliteCancellations, SqliteDueMessages, SqliteFailedMessages, SqliteMessageRepository, SqliteMessageSearch,
    SqliteOwedDeadLetters,
};
pub use node_repository::SqliteNodeRepository;
pub use receipts::SqliteReceiptInbox;
pub use storage::SqliteStorage;
