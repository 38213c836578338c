//! Events, their history, and what is left to do with them.

mod event_repository;
mod event_spool;
mod event_steps;
mod event_tables;
mod event_types;

pub use event_repository::{EventCounts, EventFilter, EventRepository, ListedEvents, NewEvent, Retry, StoredEvent};
pub use event_spool::{EmergencySwitch, EventSpool, Portion, SpoolError, SpoolStanding};
pub use event_steps::{DueStep, EventSteps, FinishedStep};
pub use event_tables::EventTables;
pub use event_types::{EventType, EventTypes};
