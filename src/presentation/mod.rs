//! How Correio is reached: over HTTP, and from the command line.

pub mod cli;
pub mod http;
mod qr_code;
