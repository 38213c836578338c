//! The adapters for Kafka, on librdkafka's mock cluster and on a real broker.

pub mod brokers;
mod consuming;
mod dead_letters;
mod publishing;
mod recovering;
