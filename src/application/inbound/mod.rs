//! What channels bring.

pub mod decide_phone_messages;
pub use decide_phone_messages::DecidePhoneMessages;

pub mod receive_messages;
pub use receive_messages::ReceiveMessages;

pub mod resolve_sends;
pub use resolve_sends::ResolveSends;
