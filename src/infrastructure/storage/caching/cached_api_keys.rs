use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use uuid::Uuid;

use crate::application::ports::{ApiKeyRepository, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::api_key::ApiKey;
use crate::domain::access::principal::Tenant;

/// How long a key is remembered. A key that is revoked, in whatever process, stops this long after
/// the last lookup that still found it was answered.
const KEPT: Duration = Duration::from_secs(3);

/// Saves the database a lookup per request. Only keys that were found are remembered: guessing fills no memory.
pub struct CachedApiKeys {
    api_keys: Arc<dyn ApiKeyRepository>,
    found: Cache<[u8; 32], ApiKey>,
}

impl CachedApiKeys {
    pub fn new(api_keys: Arc<dyn ApiKeyRepository>) -> Self {
        Self { api_keys, found: Cache::builder().max_capacity(10_000).time_to_live(KEPT).build() }
    }
}

#[async_trait]
impl ApiKeyRepository for CachedApiKeys {
    async fn ensure_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, RepositoryError> {
        self.api_keys.ensure_tenant(tenant, now).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError> {
        self.api_keys.insert(key).await
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError> {
        if let Some(key) = self.found.get(hash).await {
            return Ok(Some(key));
        }
        let key = self.api_keys.find_by_hash(hash).await?;
        if let Some(key) = &key {
            self.found.insert(*hash, key.clone()).await;
        }
        Ok(key)
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, RepositoryError> {
        self.api_keys.list(tenant).await
    }

    async fn revoke(&self, id: Uuid, now: Timestamp) -> Result<bool, RepositoryError> {
        let revoked = self.api_keys.revoke(id, now).await?;
        self.found.invalidate_all();
        Ok(revoked)
    }
}
