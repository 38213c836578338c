use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::application::ports::{RepositoryError, Users};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::access::user::User;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{
    get, id, scopes, tenant, time, time_option, time_text, time_text_option,
};

pub struct SqliteUsers {
    database: SqliteDatabase,
}

impl SqliteUsers {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Users for SqliteUsers {
    async fn insert(&self, user: &User) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        let scopes: Vec<&str> = user.scopes.iter().map(|scope| scope.as_str()).collect();
        let query = sqlx::query(
            "insert into users (id, tenant, name, password_hash, scopes, created_at, disabled_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(user.id.hyphenated())
        .bind(user.tenant.as_str())
        .bind(&user.name)
        .bind(&user.password_hash)
        .bind(scopes.join(" "))
        .bind(time_text(user.created_at))
        .bind(time_text_option(user.disabled_at));
        query.execute(self.database.writer()).await.map_err(translate)?;
        Ok(())
    }

    async fn find(&self, id: Uuid) -> Result<Option<User>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, password_hash, scopes, created_at, disabled_at
               from users
              where id = ?1",
        )
        .bind(id.hyphenated());
        let row = query.fetch_optional(self.database.readers()).await.map_err(translate)?;
        row.as_ref().map(user).transpose()
    }

    async fn find_by_name(&self, name: &str) -> Result<Option<User>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, password_hash, scopes, created_at, disabled_at
               from users
              where name = ?1",
        )
        .bind(name);
        let row = query.fetch_optional(self.database.readers()).await.map_err(translate)?;
        row.as_ref().map(user).transpose()
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<User>, RepositoryError> {
        let query = sqlx::query(
            "select id, tenant, name, password_hash, scopes, created_at, disabled_at
               from users
              where ?1 is null
                 or tenant = ?1
              order by created_at, id",
        )
        .bind(tenant.map(Tenant::as_str));
        let rows = query.fetch_all(self.database.readers()).await.map_err(translate)?;
        rows.iter().map(user).collect()
    }

    async fn disable(&self, name: &str, now: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update users
                set disabled_at = coalesce(disabled_at, ?2)
              where name = ?1",
        )
        .bind(name)
        .bind(time_text(now));
        let found = query.execute(self.database.writer()).await.map_err(translate)?;
        Ok(found.rows_affected() == 1)
    }

    async fn set_password(&self, name: &str, password_hash: &str) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update users
                set password_hash = ?2,
                    disabled_at = null
              where name = ?1",
        )
        .bind(name)
        .bind(password_hash);
        let found = query.execute(self.database.writer()).await.map_err(translate)?;
        Ok(found.rows_affected() == 1)
    }
}

fn user(row: &SqliteRow) -> Result<User, RepositoryError> {
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
