//! Who reports events.

mod webhook_reader;

pub use webhook_reader::{NotAReport, Report, WebhookReader};
