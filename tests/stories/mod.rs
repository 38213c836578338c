//! What a user gets, told over real sockets against the program itself, on both databases.

mod around;
mod crash;
mod errors;
mod idempotency;
mod instances;
mod looking;
mod sending;
mod starting;
mod tenants;
