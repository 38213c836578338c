//! The use cases on real databases, with a clock that only the test moves and a channel that does what it is told.

mod bounding;
mod clocks;
mod consumer_instances;
mod consuming;
mod delivery;
mod draining;
mod emptying;
pub mod gateway;
mod handling_steps;
mod maintaining;
mod pacing_broadcasts;
mod putting_off;
mod recovery;
mod remembered_keys;
mod remembering;
mod scheduling;
pub mod scripted;
mod taking_events_in;
mod watching;
mod watching_connections;
