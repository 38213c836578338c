//! Messages as their senders and operators see them: accepted, shown, cancelled, replayed.

pub mod cancel_message;
pub mod lanes;
pub mod read_messages;
pub mod replay_messages;
pub mod send_message;
pub mod turn;
