//! What one of many suffers from the others, or from something that fails.

pub mod connections;
mod crowd;
mod frozen;
pub mod neighbours;
