mod event_repository;
mod event_steps;
mod moving;
mod storing;

pub use event_repository::SqliteEventRepository;
pub use event_steps::SqliteEventSteps;
