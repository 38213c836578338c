//! Messages: stored, claimed, brought to their ends, looked at.

mod accepts;
mod claims;
mod due_messages;
mod failed_messages;
mod free_rows;
mod message_repository;
mod message_search;
mod outcomes;
mod owed_dead_letters;

pub use due_messages::PgDueMessages;
pub use failed_messages::PgFailedMessages;
pub use message_repository::PgMessageRepository;
pub use message_search::PgMessageSearch;
pub use owed_dead_letters::PgOwedDeadLetters;
