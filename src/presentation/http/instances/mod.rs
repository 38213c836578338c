//! `/api/messaging/instance` and `/api/messaging/instances`

pub mod create;
mod data;
pub mod delete;
pub mod read;
pub mod update;
