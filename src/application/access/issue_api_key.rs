use std::sync::Arc;

use uuid::Uuid;

use crate::application::ports::{ApiKeyRepository, Clock, Ids, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::api_key::{self, ApiKey};
use crate::domain::access::principal::{Scope, Tenant};

/// Stores a new API key: its hash, and as much of it as distinguishes it from others.
pub struct IssueApiKey {
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

pub struct NewApiKey<'a> {
    /// None: one of its own.
    pub id: Option<Uuid>,
    pub tenant: Tenant,
    pub name: String,
    /// The key in the clear.
    pub key: &'a str,
    /// What lists show of it.
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    /// None: as the installation says.
    pub requests_per_minute: Option<u32>,
}

impl IssueApiKey {
    /// # Errors
    /// [`RepositoryError::Conflict`] when the key is there already, revoked or not, or one with this id.
    pub async fn execute(&self, new: NewApiKey<'_>) -> Result<ApiKey, RepositoryError> {
        let now = self.clock.now();
        self.api_keys.ensure_tenant(&new.tenant, now).await?;
        let key = ApiKey {
            id: new.id.unwrap_or_else(|| self.ids.next()),
            tenant: new.tenant,
            name: new.name,
            prefix: new.prefix,
            hash: api_key::hash(new.key),
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            requests_per_minute: new.requests_per_minute,
        };
        self.api_keys.insert(&key).await?;
        Ok(key)
    }
}
