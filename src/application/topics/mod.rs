//! Publishing clients' records to topics of theirs. A record is a message of the channel [`CHANNEL`].

pub mod confirmations;
mod dead_records;
mod import_records;
mod kept_record;
mod once;
mod publication;
mod publish_records;
mod topics_instance;

use std::time::Duration;

use crate::domain::message::MaxTries;

pub use dead_records::DeadRecords;
pub use import_records::{FormerRecord, ImportRecords};
pub use kept_record::{content, depth, record};
pub use once::{Once, OncePublished};
pub use publication::{Confirmation, Publication, RefusedFor};
pub use publish_records::{PublishRecords, PublishRecordsError};
pub use topics_instance::{TopicsInstance, TopicsInstanceError};

/// The channel of messages that are records.
pub const CHANNEL: &str = "kafka_topic";

/// The instance of a tenant through which its records go. It is made when it is first needed.
pub const INSTANCE: &str = "kafka";

/// Tries that Kafka answers, the first included.
pub const TRIES: MaxTries = MaxTries::FIVE;

/// The waits between them.
pub const BACKOFF: [Duration; 5] = [
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1_200),
    Duration::from_millis(2_400),
    Duration::from_millis(4_800),
];
