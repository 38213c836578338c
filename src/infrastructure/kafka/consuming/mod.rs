//! What is consumed, as a member of the group.

mod added_partitions;
mod arrivals;
mod consumer_thread;
mod foreign_records;
mod group;
mod link;
mod membership;
mod message_source;
mod standing;
mod standstill;

pub use foreign_records::ForeignRecords;
pub use group::GroupSettings;
pub use message_source::KafkaMessageSource;
