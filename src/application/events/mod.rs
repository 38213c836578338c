//! What sources report: taken in whatever is away, stored once, and handled step by step.

pub mod bells;
pub mod database_gate;
mod drain_spool;
mod handle_steps;
pub mod import_webhooks;
mod publish_events;
pub mod receive_webhook;
pub mod receiver;
pub mod reporting;
mod sweep_events;
mod webhook_id;
mod write_tables;

pub use drain_spool::DrainSpool;
pub use handle_steps::{HandleSteps, StepWork, WorkResult};
pub use publish_events::PublishEvents;
pub use receive_webhook::ReceiveWebhook;
pub use sweep_events::SweepEvents;
pub use write_tables::WriteTables;
