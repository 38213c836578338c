//! One binary: linking it once is most of what a test run would spend.

mod api;
mod application;
mod architecture;
mod auth;
mod bad_input;
mod channels;
mod contracts;
mod faults;
mod kafka;
mod simulation;
mod stories;
mod support;

// Under the name by which the files of the library know it that `channels::http` shares.
use correio::{domain, infrastructure};
