//! Receipts, until they are applied.

mod receipt_inbox;

pub use receipt_inbox::PgReceiptInbox;
