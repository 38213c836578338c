//! The ways to the file: one connection that writes, some that read, and some of their own for what must not wait for
//! either.

mod backup;
mod database;
mod lived;
mod lock;
mod places;
mod searches;
#[cfg(test)]
mod searches_tests;

pub use backup::{Backup, BackupError, back_up};
pub use database::SqliteDatabase;
pub use lock::InstallationLock;
