//! Everything we need from outside, one small trait a file. A trait's doc is its contract.

pub mod api_key_repository;
pub mod channel_sender;
pub mod clock;
pub mod credentials_cipher;
pub mod due_messages;
pub mod ids;
pub mod instance_repository;
pub mod message_queue;
pub mod message_repository;
pub mod message_search;
pub mod node_repository;
pub mod randomness;
pub mod repository_error;
pub mod storage;
pub mod tasks;
pub mod token_verifier;

pub use api_key_repository::ApiKeyRepository;
pub use channel_sender::{ChannelSender, Channels, Delivery, NewCredentials};
pub use clock::Clock;
pub use credentials_cipher::{CipherError, CredentialsCipher};
pub use due_messages::{DueMessages, Take};
pub use ids::Ids;
pub use instance_repository::InstanceRepository;
pub use message_queue::{Handover, MessageQueue, QueueError};
pub use message_repository::{Accepted, KeptRequest, MessageRepository, Outcome};
pub use message_search::{MessageFilter, MessageSearch};
pub use node_repository::{NodeRepository, NodeRow};
pub use randomness::Randomness;
pub use repository_error::RepositoryError;
pub use storage::Storage;
pub use tasks::Tasks;
pub use token_verifier::{TokenError, TokenVerifier};
