//! What the channel says of messages later, and what must have become of it.

mod events;
pub mod promises;
mod provider;

pub use events::SimEvents;
pub use provider::{Said, SimProvider};
