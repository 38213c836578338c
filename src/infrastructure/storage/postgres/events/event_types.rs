use async_trait::async_trait;
use sqlx::postgres::PgRow;

use crate::application::ports::{EventType, EventTypes, RepositoryError};
use crate::domain::access::principal::Tenant;
use crate::domain::event::kind::folded;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, tenant, time};

pub struct PgEventTypes {
    database: PgDatabase,
}

impl PgEventTypes {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl EventTypes for PgEventTypes {
    async fn put(&self, event_type: &EventType) -> Result<bool, RepositoryError> {
        let query = sqlx::query_scalar(
            "insert into messaging_event_types (tenant, letters, name, schema, updated_at)
             values ($1, $2, $3, $4, $5)
                 on conflict (tenant, letters) do update
                set name = excluded.name,
                    schema = excluded.schema,
                    updated_at = excluded.updated_at
             returning xmax = 0",
        )
        .bind(event_type.tenant.as_str())
        .bind(folded(&event_type.name))
        .bind(&event_type.name)
        .bind(&event_type.schema)
        .bind(event_type.updated_at);
        self.database.run(async |connection| query.fetch_one(connection).await).await
    }

    async fn find(&self, tenant: &Tenant, letters: &str) -> Result<Option<EventType>, RepositoryError> {
        let query = sqlx::query(
            "select tenant, name, schema, updated_at
               from messaging_event_types
              where tenant = $1
                and letters = $2",
        )
        .bind(tenant.as_str())
        .bind(letters);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(event_type).transpose()
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<EventType>, RepositoryError> {
        let query = sqlx::query(
            "select tenant, name, schema, updated_at
               from messaging_event_types
              where tenant = $1
              order by letters collate \"C\"",
        )
        .bind(tenant.as_str());
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(event_type).collect()
    }

    async fn delete(&self, tenant: &Tenant, letters: &str) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_event_types
              where tenant = $1
                and letters = $2",
        )
        .bind(tenant.as_str())
        .bind(letters);
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() == 1)
    }
}

fn event_type(row: &PgRow) -> Result<EventType, RepositoryError> {
    Ok(EventType {
        tenant: tenant(row)?,
        name: get(row, "name")?,
        schema: get(row, "schema")?,
        updated_at: time(row, "updated_at")?,
    })
}
