//! The ways to deliver a message, and what guards their credentials.

mod channel_sender;
mod credentials_cipher;
mod registry;

pub use channel_sender::{ChannelSender, Delivery, NewCredentials};
pub use credentials_cipher::{CipherError, CredentialsCipher};
pub use registry::Channels;
