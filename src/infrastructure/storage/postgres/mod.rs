//! Production: many processes that share one database.
//!
//! Mirrors `sqlite/` file by file; what only a server needs has files of its own.

mod acceptance;
mod api_key_repository;
mod connections;
mod error;
mod events;
mod floor;
mod inbound;
mod instances;
mod messages;
mod migration;
mod named_weeks;
mod node_repository;
mod portion;
mod receipts;
mod row;
mod storage;
mod stores;
mod weeks;

pub use api_key_repository::PgApiKeyRepository;
pub use connections::{PgDatabase, ServerVersion};
pub use events::{PgEventRepository, PgEventSteps};
pub use inbound::PgReceivedMessages;
pub use instances::{PgCallTurns, PgDeletedInstances, PgInstanceRepository, PgPaces};
#[cfg(test)]
pub use messages::STATEMENTS;
pub use messages::{
    PgCancellations, PgDueMessages, PgFailedMessages, PgMessageRepository, PgMessageSearch, PgOwedDeadLetters,
};
pub use node_repository::PgNodeRepository;
pub use receipts::PgReceiptInbox;
pub use storage::PgStorage;
