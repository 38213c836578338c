//! What Correio does: one folder per subject, one use case per file, named by its verb, on ports.

pub mod access;
pub mod broadcasts;
pub mod delivery;
pub mod events;
pub mod gateway;
pub mod groups;
pub mod hindrances;
pub mod inbound;
pub mod instances;
pub mod kafka_rest;
pub mod life;
pub mod messages;
pub mod node;
pub mod operations;
pub mod ports;
pub mod receipts;
pub mod recovery;
pub mod service;
pub mod sources;
pub mod status_webhooks;
pub mod subscriptions;
pub mod topics;
pub mod transport;

/// Resolves when the process shall stop.
pub type Stop = futures::future::Shared<futures::future::BoxFuture<'static, ()>>;
