//! The configured channels.

mod command_line;
mod configuring;
mod connecting;
