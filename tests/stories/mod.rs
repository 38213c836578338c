//! What a user gets, told over real sockets against the program itself, on both databases and, where the way that a message
//! travels could make a difference, directly and through Kafka.

mod access;
mod broadcasts;
mod delivery;
mod events;
mod groups;
mod inbound;
mod instances;
mod kafka_rest;
mod messages;
mod operations;
mod receipts;
mod recovery;
mod sources;
mod status_webhooks;
mod subscriptions;
mod topics;
mod wire;
