//! Messages: stored, claimed, brought to their ends, looked at.

mod cancellations;
mod changes;
mod due_messages;
mod failed_messages;
mod message_repository;
mod message_search;
mod open_messages;
mod owed_dead_letters;
mod taking_along;

pub use cancellations::SqliteCancellations;
#[cfg(test)]
pub use changes::STATEMENTS;
pub use changes::{
    Receptions, Undecided, cancel_of_broadcast, decide, fail_open_messages, insert_all, insert_messages,
    insert_those_missing, receive,
};
pub use due_messages::SqliteDueMessages;
pub use failed_messages::SqliteFailedMessages;
pub use message_repository::SqliteMessageRepository;
pub use message_search::SqliteMessageSearch;
pub use open_messages::open_messages;
pub use owed_dead_letters::SqliteOwedDeadLetters;
