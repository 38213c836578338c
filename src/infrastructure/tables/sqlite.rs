use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row, Sqlite, Transaction};

use super::statements::{
    LOG, LOG_INSERTED, SQLITE, add_column, create, entity_columns, insert, inserted, log_columns, once, table_of,
};
use crate::application::ports::{EventTables, RepositoryError};
use crate::domain::event::EventId;
use crate::domain::event::table::{EntityRow, LogRow, PlannedTable, TablePlan};

/// How long it waits for another connection that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Tables in the installation's file.
pub struct SqliteEventTables {
    pool: SqlitePool,
    plan: TablePlan,
    is_prepared: AtomicBool,
}

impl SqliteEventTables {
    /// Opens the file when it is first used.
    pub fn new(path: &Path, plan: TablePlan) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        Self { pool, plan: distinct(plan), is_prepared: AtomicBool::new(false) }
    }

    async fn prepare(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        extend(&mut transaction, LOG, &log_columns(SQLITE)).await?;
        for (entity, table) in &self.plan.tables {
            extend(&mut transaction, &table_of(entity), &entity_columns(table, SQLITE)).await?;
        }
        transaction.commit().await
    }

    async fn write_both(&self, event: EventId, log: &LogRow, row: Option<&EntityRow>) -> Result<(), sqlx::Error> {
        if !self.is_prepared.load(Ordering::Relaxed) {
            self.prepare().await?;
            self.is_prepared.store(true, Ordering::Relaxed);
        }
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        let statement = insert(LOG, &LOG_INSERTED, SQLITE);
        let query: Query<'_, Sqlite, SqliteArguments> = sqlx::query(AssertSqlSafe(statement));
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
            let row = self.storable(row);
            let statement = insert(&table_of(&row.entity), &inserted(&row), SQLITE);
            let query: Query<'_, Sqlite, SqliteArguments> = sqlx::query(AssertSqlSafe(statement));
            let query =
                query.bind(row.empresa.clone()).bind(row.event.clone()).bind(row.deleted).bind(event.to_string());
            let query = row.values.iter().fold(query, |query, (_, value)| query.bind(value.clone()));
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Without the columns that the table cannot have.
    fn storable(&self, row: &EntityRow) -> EntityRow {
        let planned = self.plan.tables.get(&row.entity).map(|table| &table.columns);
        let mut row = row.clone();
        row.values.retain(|(name, _)| planned.is_some_and(|columns| columns.contains(name)));
        row
    }
}

/// SQLite's columns differ in more than the case of their letters: the first of them stays.
fn distinct(mut plan: TablePlan) -> TablePlan {
    for (entity, PlannedTable { columns, .. }) in &mut plan.tables {
        let mut known: BTreeSet<String> =
            crate::domain::event::table::OWN_COLUMNS.iter().map(|name| (*name).to_owned()).collect();
        columns.retain(|column| {
            let is_new = known.insert(column.to_lowercase());
            if !is_new {
                tracing::warn!(%entity, %column, "SQLite takes a column for another one that differs in the case of its letters alone; it is left out");
            }
            is_new
        });
    }
    plan
}

/// Makes a table, or the columns that it lacks.
async fn extend(
    transaction: &mut Transaction<'_, Sqlite>,
    table: &str,
    columns: &[(String, &'static str)],
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(create(table, columns, SQLITE))).execute(&mut **transaction).await?;
    let there = sqlx::query("select lower(name) as name from pragma_table_info(?1)").bind(table);
    let there = there.fetch_all(&mut **transaction).await?;
    let there: BTreeSet<String> = there.iter().map(|row| row.try_get("name")).collect::<Result<_, _>>()?;
    for (name, kind) in columns.iter().filter(|(name, _)| !there.contains(&name.to_lowercase())) {
        sqlx::raw_sql(AssertSqlSafe(add_column(table, name, kind))).execute(&mut **transaction).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(once(table))).execute(&mut **transaction).await?;
    Ok(())
}

#[async_trait]
impl EventTables for SqliteEventTables {
    async fn write(&self, event: EventId, log: &LogRow, row: Option<&EntityRow>) -> Result<(), RepositoryError> {
        self.write_both(event, log, row).await.map_err(|error| match &error {
            sqlx::Error::Database(cause) => {
                let code = cause.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
                match code & 0xff {
                    // A table that was changed by hand (1), a constraint, something too large, a wrong type.
                    1 | 18 | 19 | 20 => {
                        self.is_prepared.store(false, Ordering::Relaxed);
                        RepositoryError::Refused(error.to_string())
                    }
                    _ => RepositoryError::Unavailable(error.to_string()),
                }
            }
            _ => RepositoryError::Unavailable(error.to_string()),
        })
    }
}
