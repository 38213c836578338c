//! Callers and what they may do, how often they may ask, and what an idempotency key stands for.

pub mod api_key;
pub mod idempotency;
pub mod lockout;
pub mod principal;
pub mod request_limit;
pub mod user;
