mod event_repository;
mod event_steps;
mod event_tables;

pub use event_repository::MemoryEventRepository;
pub use event_steps::MemoryEventSteps;
pub(super) use event_tables::EventTables;
