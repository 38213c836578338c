//! The adapters for Kafka, on librdkafka's mock cluster and on a real broker.

mod added_partitions;
pub mod brokers;
mod consuming;
mod dead_letters;
mod membership;
mod publishing;
mod recovering;
mod refusals;
