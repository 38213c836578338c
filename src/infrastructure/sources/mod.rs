//! Sources of events, and how what they post is read.

mod mysql_dump;
mod pipedrive;

pub use mysql_dump::{Inserted, inserted_rows};
pub use pipedrive::PipedriveReader;
