//! What all resources share of HTTP: reading requests, shaping answers.

pub mod answers;
pub mod body;
pub mod caller;
pub mod compact_json;
pub mod envelope;
pub mod fields;
pub mod held;
pub mod moment;
pub mod page;
pub mod problem;
pub mod query;
pub mod readiness;
pub mod serving;
pub mod state;
