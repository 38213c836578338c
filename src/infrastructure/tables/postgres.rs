use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tokio::time::timeout;

use super::statements::{
    LOG, LOG_INSERTED, POSTGRES, create, entity_columns, insert, inserted, log_columns, once, quoted, table_of,
};
use crate::application::ports::{EventTables, RepositoryError};
use crate::domain::event::EventId;
use crate::domain::event::table::{EntityRow, LogRow, TablePlan};

/// For writing one event, or making all tables.
const PATIENCE: Duration = Duration::from_secs(10);

/// There is one who writes; another process may make tables.
const CONNECTIONS: u32 = 2;

/// Processes that start together make tables one after the other.
const LOCK: &str = "select pg_advisory_xact_lock(hashtext('correio webhook tables'))";

/// Tables in a PostgreSQL.
pub struct PgEventTables {
    pool: PgPool,
    plan: TablePlan,
    is_prepared: AtomicBool,
}

impl PgEventTables {
    /// Connects when it is first used.
    ///
    /// # Errors
    /// When this is not the URL of a PostgreSQL; no error holds it.
    pub fn new(url: &str, plan: TablePlan) -> Result<Self, RepositoryError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| RepositoryError::Refused("is not the URL of a PostgreSQL database".to_owned()))?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).min_connections(0).acquire_timeout(PATIENCE);
        Ok(Self { pool: pool.connect_lazy_with(options), plan, is_prepared: AtomicBool::new(false) })
    }

    async fn prepare(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        extend(&mut transaction, LOG, &log_columns(POSTGRES)).await?;
        for (entity, table) in &self.plan.tables {
            extend(&mut transaction, &table_of(entity), &entity_columns(table, POSTGRES)).await?;
        }
        transaction.commit().await
    }

    async fn write_both(&self, event: EventId, log: &LogRow, row: Option<&EntityRow>) -> Result<(), sqlx::Error> {
        if !self.is_prepared.load(Ordering::Relaxed) {
            self.prepare().await?;
            self.is_prepared.store(true, Ordering::Relaxed);
        }
        let mut transaction = self.pool.begin().await?;
        let statement = insert(LOG, &LOG_INSERTED, POSTGRES);
        let query: Query<'_, Postgres, PgArguments> = sqlx::query(AssertSqlSafe(statement));
        query
            .bind(&log.event)
            .bind(&log.entity)
            .bind(&log.payload)
            .bind(&log.empresa)
            .bind(log.delivery_status)
            .bind(log.processing_time_ms)
            .bind(event.to_string())
            .execute(&mut *transaction)
            .await?;
        if let Some(row) = row {
            let statement = insert(&table_of(&row.entity), &inserted(row), POSTGRES);
            let query: Query<'_, Postgres, PgArguments> = sqlx::query(AssertSqlSafe(statement));
            let query = query.bind(&row.empresa).bind(&row.event).bind(row.deleted).bind(event.to_string());
            let query = row.values.iter().fold(query, |query, (_, value)| query.bind(value));
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

/// Makes a table, or the columns that it lacks.
async fn extend(
    transaction: &mut Transaction<'_, Postgres>,
    table: &str,
    columns: &[(String, &'static str)],
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(create(table, columns, POSTGRES))).execute(&mut **transaction).await?;
    for (name, kind) in columns {
        let add = format!("alter table {} add column if not exists {} {kind}", quoted(table), quoted(name));
        sqlx::raw_sql(AssertSqlSafe(add)).execute(&mut **transaction).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(once(table))).execute(&mut **transaction).await?;
    Ok(())
}

#[async_trait]
impl EventTables for PgEventTables {
    async fn write(&self, event: EventId, log: &LogRow, row: Option<&EntityRow>) -> Result<(), RepositoryError> {
        let written = timeout(PATIENCE, self.write_both(event, log, row)).await;
        let written = written.map_err(|_| RepositoryError::Unavailable(format!("no answer within {PATIENCE:?}")))?;
        written.map_err(|error| self.translate(&error))
    }
}

impl PgEventTables {
    fn translate(&self, error: &sqlx::Error) -> RepositoryError {
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
        match code.get(..2) {
            Some("22" | "23" | "54") => RepositoryError::Refused(error.to_string()),
            // A table or a column is gone, or was changed by hand: it is made again.
            Some("42") => {
                self.is_prepared.store(false, Ordering::Relaxed);
                RepositoryError::Refused(error.to_string())
            }
            _ => RepositoryError::Unavailable(error.to_string()),
        }
    }
}
