//! The configured channels.

mod configuring;
