//! Correio: one authenticated REST API in front of every channel a company sends through.

pub mod application;
pub mod domain;
pub mod infrastructure;
pub mod presentation;

#[cfg(test)]
#[path = "../tests/support/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "../tests/support/log_lines.rs"]
mod log_lines;
#[cfg(test)]
#[path = "../tests/support/samples.rs"]
mod samples;
#[cfg(test)]
#[path = "../tests/support/set_clock.rs"]
mod set_clock;

// Under the name by which what the tests share knows it.
#[cfg(test)]
extern crate self as correio;
