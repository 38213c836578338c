//! `/api/messaging/message` and `/api/messaging/messages`

pub mod cancel;
pub mod content_request;
pub mod data;
pub mod key;
pub mod list;
pub mod read;
pub mod retry;
pub mod send;
pub mod send_request;
pub mod stats;
