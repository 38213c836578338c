//! Callers and what they may do, and what an idempotency key stands for.

pub mod api_key;
pub mod idempotency;
pub mod principal;
