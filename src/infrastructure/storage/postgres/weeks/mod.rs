//! The weeks of messages and attempts: made ahead of time, repaired, vacuumed when they are over, looked at while something in
//! them is open, and dropped.

mod creation;
mod failures;
mod indexes;
pub mod needed;
mod overhaul;
mod parameters;
mod partition;
mod retention;
mod standing;

pub use creation::keep;
pub use overhaul::overhaul;
pub use retention::delete_history;
pub use standing::standing;
