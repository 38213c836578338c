//! The ways to deliver a message, and what guards their credentials.

mod call_turns;
mod channel_connector;
mod channel_sender;
mod credentials_cipher;
mod event_reader;
mod group_directory;
mod handshakes;
mod paces;
mod registry;
mod signed_event_reader;

pub use call_turns::CallTurns;
pub use channel_connector::{Account, ChannelConnector, Code, Connection, EventAddress, SECRET_HEADER};
pub use channel_sender::{ChannelSender, Delivery, NewCredentials};
pub use credentials_cipher::{CipherError, CredentialsCipher};
pub use event_reader::{EventReader, ProviderEvent};
pub use group_directory::{GroupDirectory, Participant, ProvidedGroups, ProviderGroup};
pub use handshakes::Handshakes;
pub use paces::{Paces, SlotsAsked};
pub use registry::Channels;
pub use signed_event_reader::SignedEventReader;
