//! Clients of Kafka's REST Proxy, and administrators of a Kafka, against a real one.

mod bridge;
mod command_line;
mod consumers;
mod groups;
mod producing;
mod refusals;
mod streams;
mod topics;
