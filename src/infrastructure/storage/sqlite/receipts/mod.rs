//! Receipts, until they are applied.

mod receipt_inbox;
mod reported_sends;
mod stuck_messages;

pub use receipt_inbox::SqliteReceiptInbox;
pub use reported_sends::SqliteReportedSends;
pub use stuck_messages::SqliteStuckMessages;
