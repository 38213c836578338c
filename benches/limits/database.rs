//! A database of its own for each measurement: nobody vacuums, or caches, for another.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use uuid::Uuid;

use crate::Result;
use crate::build::Build;
use crate::setting::Setting;
use crate::stage::Stage;
use crate::support::postgres_server::PostgresServer;

/// No message that was accepted since then has a lower id.
pub fn first_id(time: DateTime<Utc>) -> Uuid {
    Uuid::from_u128(u128::from(time.timestamp_millis().unsigned_abs()) << 80)
}

/// The states of a message that has not ended.
const OPEN: &str = "('pending', 'queued', 'processing')";

pub struct Database {
    name: String,
    options: PgConnectOptions,
    connection: PgConnection,
}

impl Database {
    /// With the tables that this build makes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn create(stage: &Stage, build: &Build) -> Result<Self> {
        Self::create_on(&stage.postgres, stage, build).await
    }

    /// The same on a server of its own, with which it goes.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn create_on(server: &PostgresServer, stage: &Stage, build: &Build) -> Result<Self> {
        let database = Self::create_empty_on(server).await?;
        Setting::direct(&database.url()).migrate(stage, build).await?;
        Ok(database)
    }

    /// Without any tables.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn create_empty(stage: &Stage) -> Result<Self> {
        Self::create_empty_on(&stage.postgres).await
    }

    async fn create_empty_on(server: &PostgresServer) -> Result<Self> {
        let name = format!("limits_{}", Uuid::new_v4().simple());
        let mut maintenance = Self::maintenance_of(server).await?;
        maintenance.execute(format!("create database {name}")).await?;
        // What the one before left to write is not this one's.
        maintenance.execute("checkpoint").await?;
        Self::connect(name, server.options()).await
    }

    /// The one that is always there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn maintenance(stage: &Stage) -> Result<Self> {
        Self::maintenance_of(&stage.postgres).await
    }

    async fn maintenance_of(server: &PostgresServer) -> Result<Self> {
        Self::connect("postgres".to_owned(), server.options()).await
    }

    /// On another connection: the server was away.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect_again(self) -> Result<Self> {
        Self::connect(self.name, self.options).await
    }

    async fn connect(name: String, options: PgConnectOptions) -> Result<Self> {
        let options = options.database(&name).disable_statement_logging();
        let connection = PgConnection::connect_with(&options).await?;
        Ok(Self { name, options, connection })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub async fn execute(&mut self, sql: impl Into<String>) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut self.connection).await?;
        Ok(())
    }

    pub async fn number(&mut self, sql: impl Into<String>) -> Result<i64> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql.into())).fetch_one(&mut self.connection).await?)
    }

    pub async fn text(&mut self, sql: impl Into<String>) -> Result<String> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql.into())).fetch_one(&mut self.connection).await?)
    }

    /// Messages that are stored.
    pub async fn messages(&mut self) -> Result<u64> {
        let count = self.number("select count(*) from messaging_messages").await?;
        Ok(count.unsigned_abs())
    }

    /// Messages that have not ended; an index has them, however many have.
    pub async fn open(&mut self) -> Result<u64> {
        let query = format!(
            "select (select count(*) from messaging_messages where next_attempt_at is null and status in {OPEN})
                  + (select count(*) from messaging_messages where next_attempt_at is not null and status in {OPEN})"
        );
        Ok(self.number(query).await?.unsigned_abs())
    }

    /// Waits until no message is open.
    ///
    /// # Errors
    /// When that takes longer than `patience` without any progress.
    pub async fn ended(&mut self, patience: Duration) -> Result<()> {
        self.ended_but(0, patience).await
    }

    /// Waits until no more than so many messages are open.
    ///
    /// # Errors
    /// As above.
    pub async fn ended_but(&mut self, rest: u64, patience: Duration) -> Result<()> {
        let (mut fewest, mut since) = (u64::MAX, std::time::Instant::now());
        loop {
            let open = self.open().await?;
            if open <= rest {
                return Ok(());
            }
            if open < fewest {
                (fewest, since) = (open, std::time::Instant::now());
            }
            if since.elapsed() > patience {
                return Err(format!("{open} messages are still open, and none ended for {patience:?}").into());
            }
            // The longer it still takes, the less often it is asked.
            tokio::time::sleep(Duration::from_millis(((open - rest) / 50).clamp(20, 500))).await;
        }
    }

    /// How many were sent.
    ///
    /// # Errors
    /// When one was not.
    pub async fn all_sent(&mut self) -> Result<u64> {
        self.all_sent_since(DateTime::UNIX_EPOCH).await
    }

    /// How many were accepted since then, and sent.
    ///
    /// # Errors
    /// As above.
    pub async fn all_sent_since(&mut self, time: DateTime<Utc>) -> Result<u64> {
        let first = first_id(time);
        let since = format!("select count(*) from messaging_messages where id >= '{first}'");
        let messages = self.number(since.clone()).await?.unsigned_abs();
        let sent = self.number(since + " and status = 'sent'").await?.unsigned_abs();
        if sent != messages {
            return Err(format!("of {messages} messages {} were not sent", messages - sent).into());
        }
        Ok(sent)
    }

    /// # Errors
    /// When the server does not answer.
    pub async fn remove(self, stage: &Stage) -> Result<()> {
        self.connection.close().await?;
        Self::maintenance(stage).await?.execute(format!("drop database {} with (force)", self.name)).await
    }
}
