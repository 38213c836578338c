//! What an installation configures: read once, at start, from the environment and from `.env`.
//!
//! `sections` is the table of settings. `.env.example` and `docs/configuration.md` are written from it; `documents` says how.

#[cfg(test)]
mod documents;
mod environment;
mod error;
mod installation;
mod installation_file;
#[cfg(test)]
mod installation_tests;
#[cfg(test)]
mod parsing_tests;
mod role;
mod sections;
mod setting;
mod values;
mod variables;

pub use environment::variable;
pub use error::ConfigError;
pub use installation::Config;
pub use role::{Role, UnknownRole};
pub use sections::SECTIONS;
pub use sections::access::limits::LimitsConfig;
pub use sections::access::{AccessConfig, JwtConfig};
pub use sections::channels::ChannelsConfig;
pub use sections::delivery::DeliveryConfig;
pub use sections::events::{EventsConfig, WebhookConfig};
pub use sections::http::HttpConfig;
pub use sections::kafka::security::{KafkaClientCertificate, KafkaSasl, KafkaSecurity, KafkaTls, SaslMechanism};
pub use sections::kafka::topics::{Compression, Deduplicate, TopicBrokers, TopicsConfig, Unconfirmed};
pub use sections::kafka::{Brokers, GroupProtocol, KafkaConfig, QueueConfig};
pub use sections::logs::{LogFormat, LogsConfig};
pub use sections::providers::STUCK_AFTER_NAME;
pub use sections::storage::{DatabaseConfig, StorageConfig, credentials_key as parse_credentials_key};
pub use setting::{Entry, Section, WhenUnset};
pub use values::duration as parse_duration;
