//! What the group has got through, and what Kafka has lost.

mod group_progress;
mod lost_records;
mod positions;

pub use group_progress::GroupProgress;
pub use lost_records::LostRecords;
#[cfg(test)]
pub use positions::Standing;
pub use positions::{Positions, Snapshot};
