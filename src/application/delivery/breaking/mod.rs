//! Destinations that fail are not called: what this process has seen of them, which breakers are open at any process, and the one
//! probe that shows whether a destination works again.

#[cfg(test)]
mod asking_tests;
mod known;
mod opening;
mod permit;
mod probing;
mod seen;
mod view;

pub use known::{Barred, Breaking, BreakingParts};
pub use permit::{Called, Permit, Refused};
pub use probing::{CallPermit, KeptPermit};
pub use view::OpenBreaker;
