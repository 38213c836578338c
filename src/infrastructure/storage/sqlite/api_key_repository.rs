use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::SqliteDatabase;
use super::error::translate;
use super::row::{get, id, number_option, scopes, sha256, tenant, time, time_option, time_text, time_text_option};
use crate::application::ports::{ApiKeyRepository, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::api_key::ApiKey;
use crate::domain::access::principal::Tenant;

#[derive(Clone)]
pub struct SqliteApiKeyRepository {
    database: SqliteDatabase,
}

impl SqliteApiKeyRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ApiKeyRepository for SqliteApiKeyRepository {
    async fn ensure_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, RepositoryError> {
        let inserted = sqlx::query(
            "insert into tenants (name, created_at)
             values (?1, ?2)
             on conflict do nothing",
        )
        .bind(tenant.as_str())
        .bind(time_text(now))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn has_tenant_beside(&self, name: &str) -> Result<bool, RepositoryError> {
        // In two halves, which the index finds.
        sqlx::query_scalar(
            "select exists (select 1 from tenants where name <> ?1)
                 or exists (select 1 from messaging_instances where tenant < ?1)
                 or exists (select 1 from messaging_instances where tenant > ?1)",
        )
        .bind(name)
        .fetch_one(self.database.readers())
        .await
        .map_err(translate)
    }

    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        sqlx::query(
            "insert into api_keys (id, tenant, name, prefix, hash, scopes, created_at, expires_at, revoked_at,
                 requests_per_minute)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .bind(key.id.hyphenated())
        .bind(key.tenant.as_str())
        .bind(&key.name)
        .bind(&key.prefix)
        .bind(&key.hash[..])
        .bind(scopes.join(" "))
        .bind(time_text(key.created_at))
        .bind(time_text_option(key.expires_at))
        .bind(time_text_option(key.revoked_at))
        .bind(key.requests_per_minute.map(i64::from))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(())
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError> {
        let row = sqlx::query(
            "select id, tenant, name, prefix, hash, scopes, created_at, expires_at, revoked_at,
                    requests_per_minute
               from api_keys
              where hash = ?1",
        )
        .bind(&hash[..])
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        row.as_ref().map(api_key).transpose()
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, RepositoryError> {
        let rows = sqlx::query(
            "select id, tenant, name, prefix, hash, scopes, created_at, expires_at, revoked_at,
                    requests_per_minute
               from api_keys
              where ?1 is null
                 or tenant = ?1
              order by created_at, id",
        )
        .bind(tenant.map(Tenant::as_str))
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        rows.iter().map(api_key).collect()
    }

    async fn revoke(&self, id: Uuid, now: Timestamp) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let found = sqlx::query(
            "update api_keys
                set revoked_at = coalesce(revoked_at, ?2)
              where id = ?1",
        )
        .bind(id.hyphenated())
        .bind(time_text(now))
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(found.rows_affected() == 1)
    }
}

fn api_key(row: &SqliteRow) -> Result<ApiKey, RepositoryError> {
    Ok(ApiKey {
        id: id(row, "id")?,
        tenant: tenant(row)?,
        name: get(row, "name")?,
        prefix: get(row, "prefix")?,
        hash: sha256(row, "hash")?,
        scopes: scopes(row)?,
        created_at: time(row, "created_at")?,
        expires_at: time_option(row, "expires_at")?,
        revoked_at: time_option(row, "revoked_at")?,
        requests_per_minute: number_option(row, "requests_per_minute")?,
    })
}
