use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use uuid::Uuid;

use crate::application::ports::{RepositoryError, Users};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::access::user::User;

/// How long a user is remembered. One that is disabled, in whatever process, is turned away this long afterwards.
const KEPT: Duration = Duration::from_secs(3);

const CAPACITY: u64 = 10_000;

/// Saves the database a lookup for each request with a user's token.
pub struct CachedUsers {
    users: Arc<dyn Users>,
    found: Cache<Uuid, Option<User>>,
}

impl CachedUsers {
    pub fn new(users: Arc<dyn Users>) -> Self {
        Self { users, found: Cache::builder().max_capacity(CAPACITY).time_to_live(KEPT).build() }
    }
}

#[async_trait]
impl Users for CachedUsers {
    async fn insert(&self, user: &User) -> Result<(), RepositoryError> {
        self.users.insert(user).await
    }

    async fn find(&self, id: Uuid) -> Result<Option<User>, RepositoryError> {
        if let Some(found) = self.found.get(&id).await {
            return Ok(found);
        }
        let found = self.users.find(id).await?;
        self.found.insert(id, found.clone()).await;
        Ok(found)
    }

    async fn find_by_name(&self, name: &str) -> Result<Option<User>, RepositoryError> {
        self.users.find_by_name(name).await
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<User>, RepositoryError> {
        self.users.list(tenant).await
    }

    async fn disable(&self, name: &str, now: Timestamp) -> Result<bool, RepositoryError> {
        self.users.disable(name, now).await
    }

    async fn set_password(&self, name: &str, password_hash: &str) -> Result<bool, RepositoryError> {
        self.users.set_password(name, password_hash).await
    }
}
