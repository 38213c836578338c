//! `/api/messaging/message` and `/api/messaging/messages`

mod data;
pub mod list;
pub mod read;
pub mod retry;
pub mod send;
pub mod stats;
