//! What all channels share that are called over HTTP.

pub(super) mod base_url;
pub(super) mod credentials_object;
pub(super) mod file_name;
pub(super) mod http_answer;
#[cfg(test)]
mod parsing_tests;
pub(super) mod redaction;
pub(super) mod report;
pub(super) mod report_members;
