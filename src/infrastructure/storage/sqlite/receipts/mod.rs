//! Receipts, until they are applied.

mod receipt_inbox;
mod stuck_messages;

pub use receipt_inbox::SqliteReceiptInbox;
pub use stuck_messages::SqliteStuckMessages;
