//! Messages as their senders and operators see them: accepted, shown, cancelled, replayed.

pub mod cancel_message;
pub use cancel_message::CancelMessage;

pub mod read_messages;
pub use read_messages::ReadMessages;

pub mod replay_messages;
pub use replay_messages::ReplayMessages;

pub mod send_message;
pub use send_message::SendMessage;

pub mod early_answers;
pub mod lanes;
pub mod not_before;
pub mod open_bound;
pub mod turn;
pub mod waiting_callers;
