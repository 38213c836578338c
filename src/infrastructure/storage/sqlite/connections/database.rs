//! An open file and its connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::migrations;

use super::lived::Lived;
use super::lock::{self, InstallationLock, LockFile};
use super::places::Places;
use super::searches::Searches;
use crate::infrastructure::storage::limits::Limits;
use crate::infrastructure::storage::sqlite::error::{self, translate};

/// How long a connection waits for another one, or another process, that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a connection that other callers use.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

const READERS: u32 = 4;

/// Of these, for what tenants read by id.
const READS: usize = 2;

/// Bytes that the log beside the file (`-wal`) keeps. It grows while a reader needs what it holds, or a transaction is
/// large, and would stay as large as it once was.
const LOG_KEPT: &str = "16777216";

/// An open database file; clones share it.
#[derive(Clone)]
pub struct SqliteDatabase(Arc<Connections>);

struct Connections {
    path: PathBuf,
    /// SQLite has one writer at a time: those waiting for a connection do so in order, those waiting for a lock do not.
    writer: SqlitePool,
    readers: SqlitePool,
    /// Places of those who read by id what a tenant names.
    reads: Semaphore,
    searches: Searches,
    /// For heartbeats, which never queue behind other work.
    heartbeats: SqlitePool,
    places: Places,
    lived: Lived,
}

impl SqliteDatabase {
    /// Opens the file, with the limits of an installation that sets none.
    ///
    /// # Errors
    /// As of [`SqliteDatabase::open_within`].
    pub async fn open(path: &Path) -> Result<Self, RepositoryError> {
        Self::open_within(path, Limits::default()).await
    }

    /// Opens the file, and creates it and its directory if need be.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] when it cannot be opened, [`RepositoryError::Corrupt`] when not a database.
    pub async fn open_within(path: &Path, limits: Limits) -> Result<Self, RepositoryError> {
        let path = path.to_owned();
        // Switching to WAL needs the file exclusively and does not wait for it: several processes may start together.
        let _lock = LockFile::wait(beside(&path, "migrate.lock")).await?;
        drop(lock::open(&path)?);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", LOG_KEPT)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = pool(1).connect_with(options.clone()).await.map_err(translate)?;
        let places = Places::default();
        places.watch_database(&path).map_err(|error| lock::unavailable(&path, &error))?;
        let heartbeats = pool(1).connect_lazy_with(options.clone());
        let options = options.pragma("query_only", "on");
        let readers = pool(READERS).connect_lazy_with(options.clone());
        let searching = pool(limits.searches).connect_lazy_with(options);
        let searches = Searches::new(searching, limits.searches, limits.search_patience);
        let (reads, lived) = (Semaphore::new(READS), Lived::default());
        Ok(Self(Arc::new(Connections { path, writer, readers, reads, searches, heartbeats, places, lived })))
    }

    /// Brings the tables up to date. Safe to run in several processes concurrently.
    ///
    /// # Errors
    /// When the file cannot be written, or holds what a newer version made.
    pub async fn migrate(&self) -> Result<(), RepositoryError> {
        let _lock = LockFile::wait(beside(&self.0.path, "migrate.lock")).await?;
        migrations::SQLITE.run(&self.0.writer).await.map_err(error::translate_migration)?;
        // Before anything is looked up that may have expired.
        self.0.lived.read(&self.0.writer).await?;
        Ok(())
    }

    /// Whether credentials are stored. Also of a file whose tables are not up to date, or not there yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn has_credentials(&self) -> Result<bool, RepositoryError> {
        let has_table = "select exists (select 1 from sqlite_schema where name = 'messaging_instances')";
        let has_credentials = "select exists (select 1 from messaging_instances where length(credentials) > 0)";
        for question in [has_table, has_credentials] {
            if !sqlx::query_scalar::<_, bool>(question).fetch_one(&self.0.writer).await.map_err(translate)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Claims the installation for this process, for as long as the guard lives.
    ///
    /// # Errors
    /// [`RepositoryError::Conflict`] when another process has it.
    pub fn lock_installation(&self) -> Result<InstallationLock, RepositoryError> {
        let path = beside(&self.0.path, "lock");
        let lock = LockFile::try_take(path.clone())?;
        self.0.places.watch_lock(&path, lock.file()).map_err(|error| lock::unavailable(&path, &error))?;
        // Deleted between its opening and its locking, it would lock nothing.
        self.0.places.are_kept()?;
        Ok(InstallationLock(lock))
    }

    /// Succeeds if what is open is what its path names: what is stored is found at the next start, and no other process
    /// serves from it.
    pub(in crate::infrastructure::storage::sqlite) fn is_in_its_place(&self) -> Result<(), RepositoryError> {
        self.0.places.are_kept()
    }

    /// What is wrong with its files, as it was found last.
    pub(in crate::infrastructure::storage::sqlite) fn trouble(&self) -> Option<String> {
        self.0.places.trouble()
    }

    pub(in crate::infrastructure::storage::sqlite) fn lived(&self) -> &Lived {
        &self.0.lived
    }

    /// Until when it has lived, if it knows.
    pub(in crate::infrastructure::storage::sqlite) async fn lived_until(
        &self,
    ) -> Result<Option<Timestamp>, RepositoryError> {
        self.0.lived.read(&self.0.readers).await
    }

    /// Keeps that it has lived until `now`.
    pub(in crate::infrastructure::storage::sqlite) async fn live_until(
        &self,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.0.lived.keep(now, self.begin().await?).await
    }

    /// Closes every connection, which also writes the log back into the file.
    pub async fn close(&self) {
        self.0.searches.close().await;
        self.0.readers.close().await;
        self.0.heartbeats.close().await;
        self.0.writer.close().await;
    }

    pub(in crate::infrastructure::storage::sqlite) fn writer(&self) -> &SqlitePool {
        &self.0.writer
    }

    pub(in crate::infrastructure::storage::sqlite) fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// However many read by id, some readers stay free for others.
    pub(in crate::infrastructure::storage::sqlite) async fn place_to_read(
        &self,
    ) -> Result<SemaphorePermit<'_>, RepositoryError> {
        let busy = || RepositoryError::Unavailable("too many reads by id are under way".to_owned());
        timeout(BUSY_TIMEOUT, self.0.reads.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
    }

    pub(in crate::infrastructure::storage::sqlite) fn searches(&self) -> &Searches {
        &self.0.searches
    }

    pub(in crate::infrastructure::storage::sqlite) fn heartbeats(&self) -> &SqlitePool {
        &self.0.heartbeats
    }

    /// A transaction that may write from its first statement on: one that begins by reading is refused the lock later,
    /// without a wait, when another process wrote in between.
    pub(in crate::infrastructure::storage::sqlite) async fn begin(
        &self,
    ) -> Result<Transaction<'static, Sqlite>, RepositoryError> {
        self.0.writer.begin_with("begin immediate").await.map_err(translate)
    }
}

fn pool(connections: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut SqliteConnection, _| {
            // A disk that is full (and some other errors) makes SQLite itself roll back. The driver does not learn of
            // it, tries to roll back as well, and from then on believes this connection to be in a transaction.
            let is_left_over = connection.is_in_transaction();
            Box::pin(async move { Ok(!is_left_over) })
        })
        .idle_timeout(None)
        .max_lifetime(None)
}

/// `correio.db` and `lock` make `correio.db.lock`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
