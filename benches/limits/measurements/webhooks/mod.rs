//! What taking in webhooks costs.

mod appends;
pub mod taken;
