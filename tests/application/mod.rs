//! The use cases on real databases, with a clock that only the test moves and a channel that does what it is told.

mod consuming;
mod delivery;
pub mod gateway;
mod maintaining;
mod recovery;
mod remembering;
mod scheduling;
pub mod scripted;
