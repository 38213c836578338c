//! `/api/messaging/instance` and `/api/messaging/instances`

pub mod connection;
pub mod create;
pub mod data;
pub mod delete;
mod qr_code;
pub mod read;
pub mod update;
