//! `/api/messaging/broadcasts`

pub mod change;
pub mod data;
pub mod read;
pub mod request;
pub mod send;
