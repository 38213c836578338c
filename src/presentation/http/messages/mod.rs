//! `/api/messaging/message` and `/api/messaging/messages`

pub mod cancel;
mod data;
pub mod list;
pub mod read;
pub mod retry;
pub mod send;
pub mod send_request;
pub mod stats;
