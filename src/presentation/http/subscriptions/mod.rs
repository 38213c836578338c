//! Subscriptions: which events become which messages.

pub mod create;
pub mod data;
pub mod read;
pub mod replay;
pub mod try_out;
pub mod update;
