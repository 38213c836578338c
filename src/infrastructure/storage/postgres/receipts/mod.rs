//! Receipts, until they are applied.

mod applying;
mod receipt_inbox;

pub use receipt_inbox::PgReceiptInbox;
