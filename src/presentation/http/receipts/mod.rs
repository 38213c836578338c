//! What providers report.

pub mod receive;
