//! The ways to deliver a message, one file or folder a channel.

mod http;
mod kafka_topic;
mod sandbox;
mod webhook;
mod whatsapp_errors;
mod whatsapp_evolution;
mod whatsapp_oficial;

pub use kafka_topic::KafkaTopicSender;
pub use sandbox::SandboxSender;
pub use webhook::{InvalidSecret, SigningSecret, WebhookSender, WebhookSettings};
pub use whatsapp_evolution::{
    EvolutionConnector, EvolutionEvents, EvolutionGroups, EvolutionSettings, WhatsappEvolutionSender,
};
pub use whatsapp_oficial::{MetaEvents, MetaSettings, WhatsappOficialSender};
