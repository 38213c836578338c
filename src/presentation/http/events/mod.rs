//! What is reported to us as events.

pub mod emergency;
pub mod stats;
pub mod webhook;
