//! What requests and their answers may hold in memory together.

mod large_answer;
mod room;
mod unwritten;

pub use large_answer::{LargeAnswers, RoomForAnswer};
pub use room::{ByteRoom, HeldBytes};
pub use unwritten::Unwritten;
