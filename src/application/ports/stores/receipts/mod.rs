//! What channels say of messages later, until it is applied.

mod receipt_inbox;
mod reported_sends;
mod stuck_messages;

pub use receipt_inbox::{ReceiptInbox, Swept};
pub use reported_sends::ReportedSends;
pub use stuck_messages::{MOST_COUNTED, StuckMessages};
