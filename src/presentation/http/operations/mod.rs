//! How the process is.

pub mod health;
