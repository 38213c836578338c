mod event_repository;
mod event_steps;
mod event_types;
mod moving;
mod storing;

pub use event_repository::SqliteEventRepository;
pub use event_steps::SqliteEventSteps;
pub use event_types::SqliteEventTypes;
