//! The configured channels.

mod configuring;
mod connecting;
