//! Events: taken in, reported, looked at, put back on their way.

pub mod counts;
pub mod data;
pub mod emergency;
pub mod list;
pub mod read;
pub mod report;
pub mod report_request;
pub mod retry;
pub mod stats;
pub mod types;
pub mod webhook;
