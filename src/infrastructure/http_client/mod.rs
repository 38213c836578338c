//! Whoever we call over HTTP is called with a client that is built here: it names itself, bounds its waiting, and trusts
//! whom this machine trusts.

mod builder;
mod certificates;
mod client;
mod new_connection;
pub mod public_address;

pub use builder::{ClientSetupError, USER_AGENT, client_builder};
pub use certificates::NoCertificates;
pub use client::{HttpClient, Repeats};
