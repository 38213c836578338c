//! Messages, as their senders and operators see them.

mod cancelling;
mod crowding;
mod idempotency;
mod looking;
mod replaying;
mod scheduling;
mod sending;
