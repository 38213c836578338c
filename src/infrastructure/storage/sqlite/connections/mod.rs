//! The ways to the file: one connection that writes, some that read, and some of their own for what must not wait for
//! either.

mod database;
mod lock;
mod searches;
#[cfg(test)]
mod searches_tests;

pub use database::SqliteDatabase;
pub use lock::InstallationLock;
