mod event_repository;
mod event_steps;
mod moving;
mod storing;

pub use event_repository::PgEventRepository;
pub use event_steps::PgEventSteps;
