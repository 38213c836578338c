//! A server and the ways to it: a pool that callers share, and what must not wait for them.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{Connection, PgConnection};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::application::ports::RepositoryError;

use super::certificates;
use super::lease::Lease;
use super::own_connection::{OwnConnection, PROBES};
use super::pooler;
use super::room::Room;
use super::searches::Searches;
use super::server::{ACQUIRE_TIMEOUT, SERVER_TIMEOUT, STATEMENT_TIMEOUT, Server};
use super::server_version::ServerVersion;
use crate::infrastructure::storage::limits::Limits;
use crate::infrastructure::storage::postgres::floor::Floor;

/// What names one message is planned for the week in which that lies. Left to itself, a server compares that with a plan for
/// all weeks, once on each connection: planning it takes a lock on every index of every week.
const POOL: &str = "set plan_cache_mode = force_custom_plan";

/// A week that an operator works on is left to a later round, and others that share the connection wait no longer for it.
const BRIEFLY: &str = "set lock_timeout = '1s'";

/// A database that can be reached; clones share its connections.
#[derive(Clone)]
pub struct PgDatabase {
    pool: PgPool,
    pub(in crate::infrastructure::storage::postgres) server: Server,
    pub(in crate::infrastructure::storage::postgres) searches: Searches,
    /// For this process's heartbeats, and nothing else.
    pub(in crate::infrastructure::storage::postgres) heartbeats: Arc<OwnConnection>,
    /// For the watch over the heartbeats of others and for asking whether the database answers, and nothing that may take long.
    pub(in crate::infrastructure::storage::postgres) watch: Arc<OwnConnection>,
    /// For the rounds of the relay: what is due, what is to be made due.
    pub(in crate::infrastructure::storage::postgres) relay: Arc<OwnConnection>,
    /// For the comparison, for the dead letters, for what deleted instances left open and for nodes that have ended, which
    /// take longer and may be later.
    pub(in crate::infrastructure::storage::postgres) upkeep: Arc<OwnConnection>,
    /// Places of those who read by id: a quarter of the pool.
    reads: Arc<Semaphore>,
    /// For storing messages.
    pub(in crate::infrastructure::storage::postgres) accepts: Arc<OwnConnection>,
    /// For finding the instances that requests name.
    pub(in crate::infrastructure::storage::postgres) names: Arc<OwnConnection>,
    pub(in crate::infrastructure::storage::postgres) floor: Floor,
    /// How many connections of the pool work for a caller.
    at_work: Arc<AtomicUsize>,
}

impl PgDatabase {
    /// Connects to `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`RepositoryError::Refused`] when this is not such a URL, [`RepositoryError::Unavailable`] when the database
    /// does not answer. No error holds the URL.
    pub async fn connect(url: &str, limits: Limits) -> Result<Self, RepositoryError> {
        Self::connect_within(options_of(url)?, limits).await
    }

    /// Connects when it is used: the server may be away now.
    ///
    /// # Errors
    /// [`RepositoryError::Refused`] when this is not a URL of a database.
    pub fn later(url: &str, limits: Limits) -> Result<Self, RepositoryError> {
        Ok(Self::unconnected(options_of(url)?, limits))
    }

    /// Host, port and name of the database of a URL.
    pub fn place(url: &str) -> Option<String> {
        let options = options_of(url).ok()?;
        let (host, port) = (options.get_host(), options.get_port());
        Some(format!("{host}:{port}/{}", options.get_database().unwrap_or_default()))
    }

    /// Connects with the limits of an installation that sets none.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] when the database does not answer.
    pub async fn connect_with(options: PgConnectOptions) -> Result<Self, RepositoryError> {
        Self::connect_within(options, Limits::default()).await
    }

    /// # Errors
    /// [`RepositoryError::Unavailable`] when the database does not answer.
    pub async fn connect_within(options: PgConnectOptions, limits: Limits) -> Result<Self, RepositoryError> {
        let database = Self::unconnected(options, limits);
        // Not through the pool, which tries until its time is over and then says that it was.
        let first = database.server.connect_apart().await.map_err(|error| database.server.named(error))?;
        // It has answered: that it cannot be closed in good order does not matter.
        let _ = first.close().await;
        Ok(database)
    }

    fn unconnected(options: PgConnectOptions, limits: Limits) -> Self {
        let server = Server::new(with_name(options), limits);
        Self {
            pool: server.pool(limits.pool, SERVER_TIMEOUT, POOL),
            searches: Searches::new(server.clone()),
            heartbeats: Arc::new(OwnConnection::within(server.clone(), limits.heartbeat)),
            watch: Arc::new(OwnConnection::within(server.clone(), limits.heartbeat)),
            relay: Arc::new(OwnConnection::for_looks(server.clone())),
            upkeep: Arc::new(OwnConnection::new(server.clone(), BRIEFLY)),
            reads: Arc::new(Semaphore::new((limits.pool / 4).max(1) as usize)),
            accepts: Arc::new(OwnConnection::new(server.clone(), "")),
            names: Arc::new(OwnConnection::new(server.clone(), PROBES)),
            floor: Floor::default(),
            at_work: Arc::default(),
            server,
        }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Which version the server has.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] when the database does not answer.
    pub async fn version(&self) -> Result<ServerVersion, RepositoryError> {
        self.run(ServerVersion::read).await
    }

    /// Why a pooler that lies in between cannot be used, if there is such a one.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] when the database does not answer.
    pub async fn pooler_refusal(&self) -> Result<Option<String>, RepositoryError> {
        pooler::refusal(&self.server).await
    }

    /// Why the server will not let this process have all the connections that it opens, if it will not.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`] when the database does not answer.
    pub async fn shortage(&self) -> Result<Option<String>, RepositoryError> {
        let room = self.run(Room::read).await?;
        Ok(room.shortage(self.connections(), self.server.limits.pool))
    }

    /// Whether a connection of the pool works for a caller at this moment.
    pub(in crate::infrastructure::storage::postgres) fn is_pool_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }

    /// How many connections this process opens at most, as long as it serves.
    pub fn connections(&self) -> u32 {
        self.server.limits.pool + self.server.limits.searches + self.server.apart()
    }

    /// Runs `work` that reads what a tenant names by its id, on a connection of the pool. However many read, most of the
    /// connections stay free for others.
    pub(in crate::infrastructure::storage::postgres) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        let place = timeout(ACQUIRE_TIMEOUT, self.reads.acquire()).await;
        let busy = || RepositoryError::Unavailable("too many reads by id are under way".to_owned());
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        self.run(work).await
    }

    /// Runs `work` on a connection of the pool, within the time that a caller can wait.
    ///
    /// A connection whose work was given up, by a timeout or by a caller that hung up, is closed and not used again.
    pub(in crate::infrastructure::storage::postgres) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        let connection = self.pool.acquire().await.map_err(|error| self.server.translated(error))?;
        let mut lease = Lease::new(connection, self.at_work.clone());
        let work = work(lease.connection()?);
        let result = timeout(STATEMENT_TIMEOUT, work).await.map_err(|_| self.server.no_answer())?;
        lease.finish(&result);
        result.map_err(|error| self.server.translated(error))
    }
}

/// # Errors
/// Without the URL, which the parser's own error may quote, and with it the password.
pub(super) fn options_of(url: &str) -> Result<PgConnectOptions, RepositoryError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| RepositoryError::Refused("is not the URL of a PostgreSQL database".to_owned()))?;
    certificates::unreadable(url).map_or(Ok(options), |sentence| Err(RepositoryError::Refused(sentence)))
}

/// What the URL says, or `PGAPPNAME`, stands.
pub(super) fn with_name(options: PgConnectOptions) -> PgConnectOptions {
    let is_named = options.get_application_name().is_some();
    if is_named { options } else { options.application_name("correio") }
}

impl From<PgDatabase> for Server {
    fn from(database: PgDatabase) -> Self {
        database.server
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn the_page_on_scaling_says_how_many_connections_a_process_opens() {
        let database = PgDatabase::unconnected(PgConnectOptions::new_without_pgpass(), Limits::default());
        let stores = database.stores();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations/scaling.md");
        let page = std::fs::read_to_string(page).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let Limits { pool, searches, .. } = Limits::default();
        let (all, own) = (database.connections(), database.server.apart());
        let sentence = format!(
            "A process opens up to {all} connections: a pool of {pool} (`DATABASE_POOL_SIZE`), {searches} for lists and \
             counts of messages (`SEARCH_CONCURRENCY`), and {own} of its own"
        );
        assert!(page.contains(&sentence), "{sentence}");
        drop(stores);
    }
}
