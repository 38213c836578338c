//! What one of many suffers from the others, or from something that fails.

pub mod connections;
mod crowd;
mod frozen;
pub mod lost_answers;
pub mod neighbours;
pub mod open_transaction;
pub mod outage;
pub mod paces;
pub mod patches;
mod postgres_proxy;
pub mod readers;
mod refusals;
mod topic;
