//! What channels bring.

mod received_messages;

pub use received_messages::{NOT_APART, Received, ReceivedMessages};
