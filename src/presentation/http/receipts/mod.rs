//! What providers report.

pub mod handshake;
pub mod receive;
