//! Somebody at a SQL prompt, while the program runs.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::support::installation::Installation;

pub enum Hand {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Hand {
    pub async fn on(installation: &Installation) -> Self {
        match &installation.postgres {
            Some(postgres) => Hand::Postgres(PgConnection::connect_with(&postgres.options()).await.unwrap()),
            None => {
                let file = installation.data_dir().join("correio.db");
                Hand::Sqlite(SqliteConnectOptions::new().filename(file).connect().await.unwrap())
            }
        }
    }

    /// # Errors
    /// What the database says when it refuses.
    pub async fn write(&mut self, sql: &str) -> Result<(), String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let written = match self {
            Hand::Sqlite(connection) => sqlx::query(sql).execute(connection).await.map(drop),
            Hand::Postgres(connection) => sqlx::query(sql).execute(connection).await.map(drop),
        };
        written.map_err(|error| error.to_string())
    }
}
