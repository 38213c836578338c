//! Receipts, until they are applied.

mod applying;
mod receipt_inbox;
mod reported_sends;
mod stuck_messages;
#[cfg(test)]
mod stuck_plan_tests;

pub use receipt_inbox::PgReceiptInbox;
pub use reported_sends::PgReportedSends;
pub use stuck_messages::PgStuckMessages;
