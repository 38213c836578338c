//! What the group has got through, and what Kafka has lost.

mod group_progress;
mod lost_records;

pub use group_progress::GroupProgress;
pub use lost_records::LostRecords;
