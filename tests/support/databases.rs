//! A fresh database for every test, with everything that is stored in it.

use std::any::Any;
use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Once};

use correio::application::ports::{
    ApiKeyRepository, DueMessages, FailedMessages, InstanceRepository, MessageRepository, MessageSearch,
    NodeRepository, OwedDeadLetters, Storage,
};
use correio::infrastructure::storage::postgres::{
    PgApiKeyRepository, PgDatabase, PgDueMessages, PgFailedMessages, PgInstanceRepository, PgMessageRepository,
    PgMessageSearch, PgNodeRepository, PgOwedDeadLetters, PgStorage,
};
use correio::infrastructure::storage::sqlite::{
    SqliteApiKeyRepository, SqliteDatabase, SqliteDueMessages, SqliteFailedMessages, SqliteInstanceRepository,
    SqliteMessageRepository, SqliteMessageSearch, SqliteNodeRepository, SqliteOwedDeadLetters, SqliteStorage,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::memory::MemoryDatabase;

/// One implementation of every storage port, over one fresh database.
pub struct Adapters {
    pub messages: Arc<dyn MessageRepository>,
    pub due: Arc<dyn DueMessages>,
    pub owed_dead_letters: Arc<dyn OwedDeadLetters>,
    pub failed: Arc<dyn FailedMessages>,
    pub search: Arc<dyn MessageSearch>,
    pub nodes: Arc<dyn NodeRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub storage: Arc<dyn Storage>,
    /// Cleans up when it is dropped.
    pub _database: Box<dyn Any + Send + Sync>,
}

impl Adapters {
    /// The same, for as long as these live.
    pub fn shared(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            due: self.due.clone(),
            search: self.search.clone(),
            nodes: self.nodes.clone(),
            instances: self.instances.clone(),
            api_keys: self.api_keys.clone(),
            storage: self.storage.clone(),
            owed_dead_letters: self.owed_dead_letters.clone(),
            failed: self.failed.clone(),
            _database: Box::new(()),
        }
    }
}

pub async fn memory() -> Option<Adapters> {
    Some(MemoryDatabase::default().adapters())
}

pub async fn sqlite() -> Option<Adapters> {
    let directory = tempfile::tempdir().unwrap();
    let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
    database.migrate().await.unwrap();
    Some(Adapters {
        messages: Arc::new(SqliteMessageRepository::new(database.clone())),
        due: Arc::new(SqliteDueMessages::new(database.clone())),
        owed_dead_letters: Arc::new(SqliteOwedDeadLetters::new(database.clone())),
        failed: Arc::new(SqliteFailedMessages::new(database.clone())),
        search: Arc::new(SqliteMessageSearch::new(database.clone())),
        nodes: Arc::new(SqliteNodeRepository::new(database.clone())),
        instances: Arc::new(SqliteInstanceRepository::new(database.clone())),
        api_keys: Arc::new(SqliteApiKeyRepository::new(database.clone())),
        storage: Arc::new(SqliteStorage::new(database)),
        _database: Box::new(directory),
    })
}

/// None, said once on the terminal, when `TEST_DATABASE_URL` names no server.
pub async fn postgres() -> Option<Adapters> {
    let fresh = FreshPostgres::create().await?;
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    Some(Adapters {
        messages: Arc::new(PgMessageRepository::new(database.clone())),
        due: Arc::new(PgDueMessages::new(database.clone())),
        owed_dead_letters: Arc::new(PgOwedDeadLetters::new(database.clone())),
        failed: Arc::new(PgFailedMessages::new(database.clone())),
        search: Arc::new(PgMessageSearch::new(database.clone())),
        nodes: Arc::new(PgNodeRepository::new(database.clone())),
        instances: Arc::new(PgInstanceRepository::new(database.clone())),
        api_keys: Arc::new(PgApiKeyRepository::new(database.clone())),
        storage: Arc::new(PgStorage::new(database)),
        _database: Box::new(fresh),
    })
}

/// An empty PostgreSQL database, dropped with this.
pub struct FreshPostgres {
    server: PgConnectOptions,
    name: String,
}

impl FreshPostgres {
    pub async fn create() -> Option<Self> {
        let Ok(url) = std::env::var("TEST_DATABASE_URL") else {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED postgres: TEST_DATABASE_URL is not set");
            });
            return None;
        };
        let server = PgConnectOptions::from_str(&url).expect("TEST_DATABASE_URL is a URL");
        Some(Self::on(server).await)
    }

    /// On a server of the test's own.
    pub async fn on(server: PgConnectOptions) -> Self {
        let name = format!("correio_test_{}", Uuid::new_v4().simple());
        execute(&server, format!("create database {name}")).await;
        Self { server, name }
    }

    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for FreshPostgres {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("drop database {} with (force)", self.name));
        // A runtime of its own: the test's may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&server, drop));
        });
        let _ = dropped.join();
    }
}

async fn execute(server: &PgConnectOptions, sql: String) {
    let mut connection = PgConnection::connect_with(server).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
