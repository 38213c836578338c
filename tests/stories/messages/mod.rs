//! Messages, as their senders and operators see them.

mod cancelling;
mod crowding;
mod idempotency;
mod looking;
mod open_bound;
mod replaying;
mod scheduling;
mod sending;
