//! What all channels share that are called over HTTP.

pub(super) mod credentials_object;
pub(super) mod http_answer;
#[cfg(test)]
mod parsing_tests;
pub(super) mod redaction;
