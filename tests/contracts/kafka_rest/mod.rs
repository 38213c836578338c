//! Topics, consumer groups and records of a Kafka, in memory and in a real one.

mod group_administration;
mod kafka;
mod record_consumers;
mod topic_administration;
