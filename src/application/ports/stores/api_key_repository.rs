use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::api_key::ApiKey;
use crate::domain::access::principal::Tenant;

/// Tenants and their API keys.
#[async_trait]
pub trait ApiKeyRepository: Send + Sync {
    /// Makes sure that the tenant has a row; true if it had none.
    async fn ensure_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, RepositoryError>;

    /// Whether there is a tenant beside the one of this name: one that has a row, or an instance. Costs the same however
    /// many instances there are.
    async fn has_tenant_beside(&self, name: &str) -> Result<bool, RepositoryError>;

    /// # Errors
    /// [`RepositoryError::Conflict`] when a key of the same hash or id is there, revoked or not, whatever its tenant; also
    /// when both are inserted at the same time.
    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError>;

    /// The key with this SHA-256, also when it is revoked or has expired.
    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError>;

    /// All keys, or a tenant's, revoked ones too; oldest first.
    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, RepositoryError>;

    /// Revokes it; a key that is revoked already stays as it is. False when there is none with this id.
    async fn revoke(&self, id: Uuid, now: Timestamp) -> Result<bool, RepositoryError>;
}
