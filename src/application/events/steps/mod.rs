//! What is done with events that are stored, step by step.

mod at_work;
mod handle_steps;
mod publish_events;
mod step_work;
mod write_tables;

pub use handle_steps::HandleSteps;
pub use publish_events::PublishEvents;
pub use step_work::{Ended, StepWork, WorkResult};
pub use write_tables::WriteTables;
