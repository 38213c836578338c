//! How the process is.

pub mod health;
pub mod metrics;
mod prometheus;
