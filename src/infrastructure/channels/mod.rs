//! The ways to deliver a message, one file or folder a channel.

mod http;
mod sandbox;
mod webhook;
mod whatsapp_errors;
mod whatsapp_evolution;
mod whatsapp_oficial;

pub use sandbox::SandboxSender;
pub use webhook::{InvalidSecret, SigningSecret, WebhookSender, WebhookSettings};
pub use whatsapp_evolution::{
    EvolutionConnector, EvolutionEvents, EvolutionGroups, EvolutionSettings, WhatsappEvolutionSender,
};
pub use whatsapp_oficial::{MetaEvents, MetaSettings, WhatsappOficialSender};
