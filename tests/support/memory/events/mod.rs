mod event_repository;
mod event_steps;
mod event_tables;
mod event_types;

pub use event_repository::MemoryEventRepository;
pub use event_steps::MemoryEventSteps;
pub(super) use event_tables::EventTables;
pub use event_types::MemoryEventTypes;
