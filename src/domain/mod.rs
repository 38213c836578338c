//! What a message is and may do: types, states, the retry policy. No I/O, no framework.

pub mod api_key;
pub mod attempt;
pub mod channel;
pub mod dead_letter;
pub mod delivery;
pub mod idempotency;
pub mod instance;
pub mod message;
pub mod node;
pub mod principal;
pub mod retry;
pub mod secret;
pub mod text;

/// A moment, in UTC. The clock gives it with millisecond precision, so that it reads the same from every database.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
