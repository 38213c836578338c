//! Messages: stored, claimed, brought to their ends, looked at.

mod cancellations;
mod changes;
mod counts;
mod due_messages;
mod failed_messages;
mod matching;
mod message_repository;
mod message_search;
mod open_messages;
mod owed_dead_letters;
mod page;
mod taking_along;

pub use cancellations::PgCancellations;
#[cfg(test)]
pub use changes::STATEMENTS;
pub use changes::{
    Receptions, Undecided, cancel_of_broadcast, decide, fail_open_messages, insert_all, insert_messages,
    insert_those_missing, receive, settled,
};
pub use counts::{count_anew, delete_nothing, doubt_dropped, roll_up, uncounted};
pub use due_messages::PgDueMessages;
pub use failed_messages::PgFailedMessages;
pub use message_repository::PgMessageRepository;
pub use message_search::PgMessageSearch;
pub use open_messages::open_messages;
pub use owed_dead_letters::PgOwedDeadLetters;
