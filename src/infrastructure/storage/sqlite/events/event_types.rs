use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::application::ports::{EventType, EventTypes, RepositoryError};
use crate::domain::access::principal::Tenant;
use crate::domain::event::kind::folded;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, tenant, time, time_text};

pub struct SqliteEventTypes {
    database: SqliteDatabase,
}

impl SqliteEventTypes {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl EventTypes for SqliteEventTypes {
    async fn put(&self, event_type: &EventType) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let updated = sqlx::query(
            "update messaging_event_types
                set name = ?3,
                    schema = ?4,
                    updated_at = ?5
              where tenant = ?1
                and letters = ?2",
        );
        let inserted = sqlx::query(
            "insert into messaging_event_types (tenant, letters, name, schema, updated_at)
             values (?1, ?2, ?3, ?4, ?5)",
        );
        let mut is_new = false;
        for statement in [updated, inserted] {
            let written = statement
                .bind(event_type.tenant.as_str())
                .bind(folded(&event_type.name))
                .bind(&event_type.name)
                .bind(&event_type.schema)
                .bind(time_text(event_type.updated_at))
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
            if written.rows_affected() == 1 {
                break;
            }
            is_new = true;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(is_new)
    }

    async fn find(&self, tenant: &Tenant, letters: &str) -> Result<Option<EventType>, RepositoryError> {
        let query = sqlx::query(
            "select tenant, name, schema, updated_at
               from messaging_event_types
              where tenant = ?1
                and letters = ?2",
        )
        .bind(tenant.as_str())
        .bind(letters);
        let row = query.fetch_optional(self.database.readers()).await.map_err(translate)?;
        row.as_ref().map(event_type).transpose()
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<EventType>, RepositoryError> {
        let query = sqlx::query(
            "select tenant, name, schema, updated_at
               from messaging_event_types
              where tenant = ?1
              order by letters",
        )
        .bind(tenant.as_str());
        let rows = query.fetch_all(self.database.readers()).await.map_err(translate)?;
        rows.iter().map(event_type).collect()
    }

    async fn delete(&self, tenant: &Tenant, letters: &str) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_event_types
              where tenant = ?1
                and letters = ?2",
        )
        .bind(tenant.as_str())
        .bind(letters);
        let deleted = query.execute(self.database.writer()).await.map_err(translate)?;
        Ok(deleted.rows_affected() == 1)
    }
}

fn event_type(row: &SqliteRow) -> Result<EventType, RepositoryError> {
    Ok(EventType {
        tenant: tenant(row)?,
        name: get(row, "name")?,
        schema: get(row, "schema")?,
        updated_at: time(row, "updated_at")?,
    })
}
