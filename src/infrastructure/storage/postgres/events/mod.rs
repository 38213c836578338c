mod event_repository;
mod event_steps;
mod event_types;
mod moving;
mod storing;

pub use event_repository::PgEventRepository;
pub use event_steps::PgEventSteps;
pub use event_types::PgEventTypes;
