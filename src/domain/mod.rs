//! Types, states and rules, one folder a subject: no I/O, no framework.

pub mod access;
pub mod broadcast;
pub mod event;
pub mod group;
pub mod half_pairs;
pub mod inbound;
pub mod instance;
pub mod json_members;
pub mod message;
pub mod node;
pub mod problem;
pub mod receipt;
pub mod shared_secret;
pub mod source;
pub mod status_webhook;
pub mod subscription;
pub mod text;
pub mod topic;

/// A moment, in UTC. The clock gives it with millisecond precision, so that it reads the same from every database.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
