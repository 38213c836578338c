//! Where the program runs: a database of its own, a directory for everything else, and the way its messages travel.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

use serde_json::{Map, Value};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Row, TypeInfo, ValueRef};
use tempfile::TempDir;
use uuid::Uuid;

use super::databases::FreshPostgres;
use super::kafka_topic::KafkaTopic;

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The caller waits.
    Direct,
    /// Through a broker within the process.
    Embedded,
    /// Through the Apache Kafka at this address.
    Kafka(String),
}

/// An empty database, and a directory for everything else.
pub struct Installation {
    pub directory: TempDir,
    pub postgres: Option<FreshPostgres>,
    pub mode: Mode,
    /// Of topics and consumer group: several installations share one Kafka.
    name: String,
}

impl Installation {
    pub async fn sqlite() -> Option<Self> {
        Some(Self::new(None, Mode::Direct))
    }

    /// None when `TEST_DATABASE_URL` names no server.
    pub async fn postgres() -> Option<Self> {
        Some(Self::new(Some(FreshPostgres::create().await?), Mode::Direct))
    }

    /// SQLite, and the broker that needs nothing installed.
    pub async fn mock() -> Option<Self> {
        Some(Self::new(None, Mode::Embedded))
    }

    /// PostgreSQL and a real Kafka. None when `TEST_DATABASE_URL` or `TEST_KAFKA_BROKERS` names none.
    pub async fn real_kafka() -> Option<Self> {
        let Ok(brokers) = std::env::var("TEST_KAFKA_BROKERS") else {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED real_kafka: TEST_KAFKA_BROKERS is not set");
            });
            return None;
        };
        Self::on_kafka(&brokers).await
    }

    /// PostgreSQL, and the Kafka at this address. None when `TEST_DATABASE_URL` names no server.
    pub async fn on_kafka(address: &str) -> Option<Self> {
        Some(Self::new(Some(FreshPostgres::create().await?), Mode::Kafka(address.to_owned())))
    }

    pub fn new(postgres: Option<FreshPostgres>, mode: Mode) -> Self {
        let name = format!("test-{}", Uuid::new_v4().simple());
        Self { directory: tempfile::tempdir().unwrap(), postgres, mode, name }
    }

    pub fn is_sqlite(&self) -> bool {
        self.postgres.is_none()
    }

    /// What the program has to be told about it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = Vec::new();
        if let Some(postgres) = &self.postgres {
            environment.push(("DATABASE_URL", postgres.options().to_url_lossy().to_string()));
            environment.push(("SANDBOX_ENABLED", "true".to_owned()));
            environment.push(("CREDENTIALS_KEY", "c3Rvcmllcy1jcmVkZW50aWFscy1rZXktMzItYnl0ZSE=".to_owned()));
        }
        let brokers = match &self.mode {
            Mode::Direct => None,
            Mode::Embedded => Some("embedded"),
            Mode::Kafka(address) => Some(address.as_str()),
        };
        if let Some(brokers) = brokers {
            environment.push(("KAFKA_ENABLED", "true".to_owned()));
            environment.push(("KAFKA_BROKERS", brokers.to_owned()));
            environment.push(("KAFKA_TOPIC_PREFIX", self.topic_prefix()));
            environment.push(("KAFKA_GROUP_ID", self.name.clone()));
            environment.push(("RETRY_BACKOFF", "50ms".to_owned()));
        }
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn topic_prefix(&self) -> String {
        format!("{}.", self.name)
    }

    /// A topic's name, by what it is called without the prefix.
    pub fn topic_name(&self, name: &str) -> String {
        format!("{}{name}", self.topic_prefix())
    }

    /// The consumer group's.
    pub fn group(&self) -> &str {
        &self.name
    }

    /// A topic of the real Kafka, by its name without the prefix.
    pub fn topic(&self, name: &str) -> KafkaTopic {
        let Mode::Kafka(brokers) = &self.mode else { panic!("there is no Kafka to look into") };
        KafkaTopic::new(brokers, self.topic_name(name))
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The rows that a query finds, with times, ids and bytes as text.
    pub async fn sql(&self, query: &str) -> Vec<Value> {
        self.try_sql(query).await.unwrap()
    }

    pub async fn try_sql(&self, query: &str) -> Result<Vec<Value>, sqlx::Error> {
        let query = AssertSqlSafe(query.to_owned());
        if let Some(postgres) = &self.postgres {
            let mut connection = PgConnection::connect_with(&postgres.options()).await.unwrap();
            let rows = sqlx::query(query).fetch_all(&mut connection).await?;
            return Ok(rows.iter().map(postgres_row).collect());
        }
        let options = SqliteConnectOptions::new().filename(self.data_dir().join("correio.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let rows = sqlx::query(query).fetch_all(&mut connection).await;
        connection.close().await.unwrap();
        Ok(rows?.iter().map(sqlite_row).collect())
    }

    /// The number that a query like `select count(*)` finds.
    pub async fn sql_number(&self, query: &str) -> i64 {
        let rows = self.sql(query).await;
        let number = rows[0].as_object().and_then(|row| row.values().next()).and_then(Value::as_i64);
        number.unwrap_or_else(|| panic!("a number, not {rows:?}"))
    }

    pub async fn sql_message(&self, id: &str) -> Value {
        let mut rows = self.sql(&format!("select * from messaging_messages where id = '{id}'")).await;
        assert_eq!(rows.len(), 1, "one row of the message {id}");
        rows.remove(0)
    }

    pub async fn sql_status(&self, id: &str) -> String {
        self.sql_message(id).await["status"].as_str().unwrap().to_owned()
    }
}

fn postgres_row(row: &PgRow) -> Value {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let value = match column.type_info().name() {
            "UUID" => row.get::<Option<uuid::Uuid>, _>(index).map_or(Value::Null, |id| id.to_string().into()),
            "TIMESTAMPTZ" => row
                .get::<Option<chrono::DateTime<chrono::Utc>>, _>(index)
                .map_or(Value::Null, |at| at.to_rfc3339().into()),
            "BYTEA" => row.get::<Option<Vec<u8>>, _>(index).map_or(Value::Null, |bytes| lossy(&bytes)),
            "INT2" => row.get::<Option<i16>, _>(index).into(),
            "INT4" => row.get::<Option<i32>, _>(index).into(),
            "INT8" => row.get::<Option<i64>, _>(index).into(),
            "BOOL" => row.get::<Option<bool>, _>(index).into(),
            _ => row.try_get_unchecked::<Option<String>, _>(index).unwrap().into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Value::Object(object)
}

fn sqlite_row(row: &SqliteRow) -> Value {
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index).unwrap();
        let value = match raw.type_info().name() {
            _ if raw.is_null() => Value::Null,
            "INTEGER" => row.try_get_unchecked::<i64, _>(index).unwrap().into(),
            _ => lossy(&row.try_get_unchecked::<Vec<u8>, _>(index).unwrap()),
        };
        object.insert(column.name().to_owned(), value);
    }
    Value::Object(object)
}

fn lossy(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}
