//! What a user gets, told over real sockets against the program itself, on both databases and, where the way that a message
//! travels could make a difference, directly and through Kafka.

mod around;
mod bench;
mod bench_of_a_bad_server;
mod crash;
mod dead_letters;
mod errors;
mod idempotency;
mod instances;
mod looking;
mod outages;
mod processes;
mod replaying;
mod sending;
mod starting;
mod switching;
mod tenants;
