//! The ways to deliver a message, and what guards their credentials.

mod channel_sender;
mod credentials_cipher;

pub use channel_sender::{ChannelSender, Channels, Delivery, NewCredentials};
pub use credentials_cipher::{CipherError, CredentialsCipher};
