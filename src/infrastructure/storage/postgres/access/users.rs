use async_trait::async_trait;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::application::ports::{RepositoryError, Users};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::access::user::User;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, id, scopes, tenant, time, time_option};

pub struct PgUsers {
    database: PgDatabase,
}

impl PgUsers {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Users for PgUsers {
    async fn insert(&self, user: &User) -> Result<(), RepositoryError> {
        let scopes: Vec<&str> = user.scopes.iter().map(|scope| scope.as_str()).collect();
        let query = sqlx::query(
            "insert into users (id, tenant, name, password_hash, scopes, created_at, disabled_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(user.id)
        .bind(user.tenant.as_str())
        .bind(&user.name)
        .bind(&user.password_hash)
        .bind(scopes.join(" "))
        .bind(user.created_at)
        .bind(user.disabled_at);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find(&self, id: Uuid) -> Result<Option<User>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, password_hash, scopes, created_at, disabled_at
               from users
              where id = $1",
        )
        .bind(id);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(user).transpose()
    }

    async fn find_by_name(&self, name: &str) -> Result<Option<User>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, password_hash, scopes, created_at, disabled_at
               from users
              where name = $1",
        )
        .bind(name);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(user).transpose()
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<User>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, password_hash, scopes, created_at, disabled_at
               from users
              where $1::text is null
                 or tenant = $1
              order by created_at, id",
        )
        .bind(tenant.map(Tenant::as_str));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(user).collect()
    }

    async fn disable(&self, name: &str, now: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update users
                set disabled_at = coalesce(disabled_at, $2)
              where name = $1",
        )
        .bind(name)
        .bind(now);
        let found = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(found.rows_affected() == 1)
    }

    async fn set_password(&self, name: &str, password_hash: &str) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update users
                set password_hash = $2,
                    disabled_at = null
              where name = $1",
        )
        .bind(name)
        .bind(password_hash);
        let found = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(found.rows_affected() == 1)
    }
}

fn user(row: &PgRow) -> Result<User, RepositoryError> {
    Ok(User {
        id: id(row, "id")?,
        tenant: tenant(row)?,
        name: get(row, "name")?,
        password_hash: get(row, "password_hash")?,
        scopes: scopes(row)?,
        created_at: time(row, "created_at")?,
        disabled_at: time_option(row, "disabled_at")?,
    })
}
