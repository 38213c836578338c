//! Messages, as their senders and operators see them.

mod cancellations;
mod changes;
mod claims;
mod deferrals;
mod failed_messages;
mod memory_tables;
mod message_repository;
pub mod message_search;
mod postgres_crowded;
mod same_answers;
