//! Receipts, until they are applied.

mod applying;
mod receipt_inbox;
mod stuck_messages;
#[cfg(test)]
mod stuck_plan_tests;

pub use receipt_inbox::PgReceiptInbox;
pub use stuck_messages::PgStuckMessages;
