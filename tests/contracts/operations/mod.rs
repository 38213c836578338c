//! Starting, stopping, switching, looking at the whole.

mod postgres_connections;
mod postgres_crash;
mod postgres_locks;
mod postgres_migrations;
mod sqlite_files;
mod storage;
