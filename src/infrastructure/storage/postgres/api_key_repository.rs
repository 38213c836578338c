use async_trait::async_trait;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::connections::PgDatabase;
use super::row::{get, number_option, scopes, sha256, tenant, time, time_option};
use crate::application::ports::{ApiKeyRepository, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::api_key::ApiKey;
use crate::domain::access::principal::Tenant;

#[derive(Clone)]
pub struct PgApiKeyRepository {
    database: PgDatabase,
}

impl PgApiKeyRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ApiKeyRepository for PgApiKeyRepository {
    async fn ensure_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "insert into tenants (name, created_at)
             values ($1, $2)
             on conflict do nothing",
        )
        .bind(tenant.as_str())
        .bind(now);
        let inserted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn has_tenant_beside(&self, name: &str) -> Result<bool, RepositoryError> {
        // In two halves, which the index finds.
        let query = sqlx::query_scalar(
            "select exists (select 1 from tenants where name <> $1)
                 or exists (select 1 from messaging_instances where tenant < $1)
                 or exists (select 1 from messaging_instances where tenant > $1)",
        )
        .bind(name);
        self.database.run(async |connection| query.fetch_one(connection).await).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError> {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        let query = sqlx::query(
            "insert into api_keys (id, tenant, name, prefix, hash, scopes, created_at, expires_at, revoked_at,
                 requests_per_minute)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::bigint)",
        )
        .bind(key.id)
        .bind(key.tenant.as_str())
        .bind(&key.name)
        .bind(&key.prefix)
        .bind(&key.hash[..])
        .bind(scopes.join(" "))
        .bind(key.created_at)
        .bind(key.expires_at)
        .bind(key.revoked_at)
        .bind(key.requests_per_minute.map(i64::from));
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, prefix, hash, scopes, created_at, expires_at, revoked_at,
                    requests_per_minute
               from api_keys
              where hash = $1",
        )
        .bind(&hash[..]);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(api_key).transpose()
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, prefix, hash, scopes, created_at, expires_at, revoked_at,
                    requests_per_minute
               from api_keys
              where $1::text is null
                 or tenant = $1
              order by created_at, id",
        )
        .bind(tenant.map(Tenant::as_str));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(api_key).collect()
    }

    async fn revoke(&self, id: Uuid, now: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update api_keys
                set revoked_at = coalesce(revoked_at, $2)
              where id = $1",
        )
        .bind(id)
        .bind(now);
        let found = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(found.rows_affected() == 1)
    }
}

fn api_key(row: &PgRow) -> Result<ApiKey, RepositoryError> {
    Ok(ApiKey {
        id: get(row, "id")?,
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
