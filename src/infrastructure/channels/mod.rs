//! The ways to deliver a message, one file or folder a channel.

mod credentials_object;
mod http_answer;
#[cfg(test)]
mod parsing_tests;
mod public_address;
mod redaction;
mod sandbox;
pub mod tls;
mod webhook;
mod whatsapp_evolution;

pub use http_answer::ChannelSetupError;
pub use sandbox::SandboxSender;
pub use webhook::{InvalidSecret, SigningSecret, WebhookSender, WebhookSettings};
pub use whatsapp_evolution::{EvolutionSettings, WhatsappEvolutionSender};
