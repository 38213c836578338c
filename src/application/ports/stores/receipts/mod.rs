//! What channels say of messages later, until it is applied.

mod receipt_inbox;

pub use receipt_inbox::{ReceiptInbox, Swept};
