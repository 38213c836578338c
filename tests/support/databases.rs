//! A fresh database for every test, with everything that is stored in it.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::Once;

use correio::infrastructure::storage::postgres::PgDatabase;
use correio::infrastructure::storage::sqlite::SqliteDatabase;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::memory::MemoryDatabase;

pub use super::adapters::Adapters;

pub async fn memory() -> Option<Adapters> {
    Some(MemoryDatabase::default().adapters())
}

pub async fn sqlite() -> Option<Adapters> {
    let directory = tempfile::tempdir().unwrap();
    let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
    database.migrate().await.unwrap();
    Some(Adapters::new(database.stores(), directory))
}

/// None, said once on the terminal, when `TEST_DATABASE_URL` names no server.
pub async fn postgres() -> Option<Adapters> {
    let fresh = FreshPostgres::create().await?;
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let beside = PgDatabase::connect_with(fresh.options()).await.unwrap().stores();
    Some(Adapters::new(database.stores(), fresh).beside(beside))
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

/// A database whose owner is a role of its own, which is no superuser; both are dropped with this.
pub struct OwnedPostgres {
    fresh: Option<FreshPostgres>,
    server: PgConnectOptions,
    role: String,
}

impl OwnedPostgres {
    pub async fn create() -> Option<Self> {
        let fresh = FreshPostgres::create().await?;
        let (server, role) = (fresh.server.clone(), format!("{}_owner", fresh.name));
        execute(&server, format!("create role {role} login password 'x'")).await;
        execute(&server, format!("alter database {} owner to {role}", fresh.name)).await;
        Some(Self { fresh: Some(fresh), server, role })
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    /// As the superuser of the tests.
    pub async fn execute(&self, sql: String) {
        execute(&self.fresh.as_ref().unwrap().options(), sql).await;
    }

    /// As the owner.
    pub fn options(&self) -> PgConnectOptions {
        self.fresh.as_ref().unwrap().options().username(&self.role).password("x")
    }
}

impl Drop for OwnedPostgres {
    fn drop(&mut self) {
        self.fresh = None;
        let (server, drop) = (self.server.clone(), format!("drop role {}", self.role));
        execute_apart(server, drop);
    }
}

impl Drop for FreshPostgres {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("drop database {} with (force)", self.name));
        execute_apart(server, drop);
    }
}

/// On a runtime of its own: the test's may be ending.
fn execute_apart(server: PgConnectOptions, sql: String) {
    let executed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(execute(&server, sql));
    });
    let _ = executed.join();
}

async fn execute(server: &PgConnectOptions, sql: String) {
    let mut connection = PgConnection::connect_with(server).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The migrations of an installation as it was at this version.
pub async fn migrations_until(database: &str, version: i64) -> Migrator {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let all = Migrator::new(directory).await.unwrap();
    Migrator::with_migrations(all.iter().filter(|it| it.version <= version).cloned().collect())
}
