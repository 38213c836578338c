//! Events, their history, and what is left to do with them.

mod event_repository;
mod event_steps;

pub use event_repository::{EventCounts, EventFilter, EventRepository, ListedEvents, NewEvent, Retry, StoredEvent};
pub use event_steps::{DueStep, EventSteps, FinishedStep};
