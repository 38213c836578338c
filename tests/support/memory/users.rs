use async_trait::async_trait;
use correio::application::ports::{RepositoryError, Users};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::access::user::User;
use uuid::Uuid;

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

pub struct MemoryUsers {
    database: MemoryDatabase,
}

impl MemoryUsers {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }

    async fn change(
        &self,
        statement: &'static str,
        name: &str,
        change: impl Fn(&mut User) + Send + Sync,
    ) -> Result<bool, RepositoryError> {
        let change = |tables: &mut Tables| {
            let found = tables.users.values_mut().find(|user| user.name == name);
            found.map(&change).is_some()
        };
        self.database.run_now(statement, |tables| Ok(change(tables))).await
    }
}

#[async_trait]
impl Users for MemoryUsers {
    async fn insert(&self, user: &User) -> Result<(), RepositoryError> {
        let insert = |tables: &mut Tables| {
            storable([Some(user.name.as_str())])?;
            if tables.users.values().any(|other| other.id == user.id || other.name == user.name) {
                return Err(RepositoryError::Conflict);
            }
            tables.users.insert(user.id, user.clone());
            Ok(())
        };
        self.database.run_now("users.insert", insert).await
    }

    async fn find(&self, id: Uuid) -> Result<Option<User>, RepositoryError> {
        self.database.run_now("users.find", |tables| Ok(tables.users.get(&id).cloned())).await
    }

    async fn find_by_name(&self, name: &str) -> Result<Option<User>, RepositoryError> {
        let find = |tables: &mut Tables| tables.users.values().find(|user| user.name == name).cloned();
        self.database.run_now("users.find_by_name", |tables| Ok(find(tables))).await
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<User>, RepositoryError> {
        let list = |tables: &mut Tables| {
            let is_listed = |user: &&User| tenant.is_none_or(|tenant| user.tenant == *tenant);
            let mut users: Vec<User> = tables.users.values().filter(is_listed).cloned().collect();
            users.sort_by_key(|user| (user.created_at, user.id));
            users
        };
        self.database.run_now("users.list", |tables| Ok(list(tables))).await
    }

    async fn disable(&self, name: &str, now: Timestamp) -> Result<bool, RepositoryError> {
        self.change("users.disable", name, |user| user.disabled_at = user.disabled_at.or(Some(now))).await
    }

    async fn set_password(&self, name: &str, password_hash: &str) -> Result<bool, RepositoryError> {
        let set = |user: &mut User| {
            user.password_hash = password_hash.to_owned();
            user.disabled_at = None;
        };
        self.change("users.set_password", name, set).await
    }
}
