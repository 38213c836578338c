//! Starting, stopping, switching, looking at the whole.

mod postgres_connections;
mod postgres_counts;
mod postgres_crash;
mod postgres_locks;
mod postgres_migrations;
mod postgres_retention;
mod postgres_vacuum;
mod postgres_weeks;
mod retention;
mod sqlite_files;
mod storage;
