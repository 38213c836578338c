//! What sources report: taken in whatever is away, stored once, and handled step by step.

pub mod bells;
pub mod database_gate;
mod drain_spool;
pub mod import_webhooks;
pub mod receive_webhook;
pub mod receiver;
pub mod reporting;
mod steps;
mod sweep_events;
mod webhook_id;

pub use drain_spool::DrainSpool;
pub use receive_webhook::ReceiveWebhook;
pub use steps::{Ended, HandleSteps, PublishEvents, StepWork, WorkResult, WriteTables};
pub use sweep_events::SweepEvents;
