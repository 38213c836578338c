//! Receipts, until they are applied.

mod applying;
#[cfg(test)]
mod plan_tests;
mod receipt_inbox;
mod reported_sends;
mod stuck_messages;

pub use receipt_inbox::PgReceiptInbox;
pub use reported_sends::PgReportedSends;
pub use stuck_messages::PgStuckMessages;
