//! Commands about what is reported to this installation.

pub mod emergency;
pub mod import;
pub mod spool;
