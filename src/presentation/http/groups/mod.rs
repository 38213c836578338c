//! `/api/messaging/groups`: as existing clients know it, without an envelope.

pub mod batch;
pub mod create;
pub mod data;
pub mod list;
pub mod members;
pub mod send;
pub mod sync;
pub mod update;
