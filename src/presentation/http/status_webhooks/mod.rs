//! `/api/messaging/subscriptions/status`: who is told of changes of states.

pub mod attempt;
pub mod change;
pub mod create;
mod data;
pub mod read;
