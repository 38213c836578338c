use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use super::statements::{
    LOG, LOG_INSERTED, POSTGRES, create, entity_columns, insert, inserted, log_columns, once, quoted, table_of,
};
use crate::application::ports::{EventTables, RepositoryError};
use crate::domain::event::EventId;
use crate::domain::event::table::{EntityRow, LogRow, TablePlan};
use crate::infrastructure::storage::postgres::PgConnectionApart;

/// Processes that start together make tables one after the other.
const LOCK: &str = "select pg_advisory_xact_lock(hashtext('correio webhook tables'))";

/// Tables in a PostgreSQL, written on a connection of their own: a server that takes no writes any more is left, as that of the
/// installation is.
pub struct PgEventTables {
    connection: PgConnectionApart,
    plan: TablePlan,
    is_prepared: AtomicBool,
}

/// SQLSTATE class of a table or a column that is not there.
const NOT_THERE: &str = "42";

impl PgEventTables {
    /// Connects when it is first used.
    ///
    /// # Errors
    /// When this is not the URL of a PostgreSQL; no error holds it.
    pub fn new(url: &str, plan: TablePlan) -> Result<Self, RepositoryError> {
        Ok(Self { connection: PgConnectionApart::to(url)?, plan, is_prepared: AtomicBool::new(false) })
    }

    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        extend(&mut transaction, LOG, &log_columns(POSTGRES)).await?;
        for (entity, table) in &self.plan.tables {
            extend(&mut transaction, &table_of(entity), &entity_columns(table, POSTGRES)).await?;
        }
        transaction.commit().await
    }

    async fn write_both(
        &self,
        connection: &mut PgConnection,
        event: EventId,
        log: &LogRow,
        row: Option<&EntityRow>,
    ) -> Result<(), sqlx::Error> {
        if !self.is_prepared.load(Ordering::Relaxed) {
            self.prepare(connection).await?;
            self.is_prepared.store(true, Ordering::Relaxed);
        }
        let mut transaction = connection.begin().await?;
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
        let write = async |connection: &mut PgConnection| match self.write_both(connection, event, log, row).await {
            Err(error) if is_not_there(&error) => Ok(Err(error.to_string())),
            written => written.map(Ok),
        };
        let written = self.connection.run(write).await?;
        written.map_err(|sentence| {
            // It was dropped, or changed by hand: it is made again.
            self.is_prepared.store(false, Ordering::Relaxed);
            RepositoryError::Refused(sentence)
        })
    }
}

fn is_not_there(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with(NOT_THERE))
}
