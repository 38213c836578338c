use async_trait::async_trait;
use correio::application::ports::{ApiKeyRepository, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::api_key::ApiKey;
use correio::domain::access::principal::Tenant;
use uuid::Uuid;

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

#[derive(Clone)]
pub struct MemoryApiKeyRepository {
    database: MemoryDatabase,
}

impl MemoryApiKeyRepository {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ApiKeyRepository for MemoryApiKeyRepository {
    async fn ensure_tenant(&self, tenant: &Tenant, _now: Timestamp) -> Result<bool, RepositoryError> {
        let ensure = |tables: &mut Tables| {
            tables.sync();
            tables.tenants.insert(tenant.clone())
        };
        self.database.run_now("api_keys.ensure_tenant", |tables| Ok(ensure(tables))).await
    }

    async fn has_tenant_beside(&self, name: &str) -> Result<bool, RepositoryError> {
        let has = |tables: &mut Tables| {
            let others = tables.instances.values().map(|instance| &instance.tenant);
            tables.tenants.iter().chain(others).any(|tenant| tenant.as_str() != name)
        };
        self.database.run_now("api_keys.has_tenant_beside", |tables| Ok(has(tables))).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError> {
        let insert = |tables: &mut Tables| {
            storable([Some(key.name.as_str()), Some(key.prefix.as_str())])?;
            if tables.api_keys.values().any(|other| other.id == key.id || other.hash == key.hash) {
                return Err(RepositoryError::Conflict);
            }
            tables.api_keys.insert(key.id, key.clone());
            tables.sync();
            Ok(())
        };
        self.database.run_now("api_keys.insert", insert).await
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError> {
        let find = |tables: &mut Tables| tables.api_keys.values().find(|key| key.hash == *hash).cloned();
        self.database.run_now("api_keys.find_by_hash", |tables| Ok(find(tables))).await
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, RepositoryError> {
        let is_listed = |key: &&ApiKey| tenant.is_none_or(|tenant| key.tenant == *tenant);
        let list = |tables: &mut Tables| {
            let mut listed: Vec<ApiKey> = tables.api_keys.values().filter(is_listed).cloned().collect();
            listed.sort_by_key(|key| (key.created_at, key.id));
            listed
        };
        self.database.run_now("api_keys.list", |tables| Ok(list(tables))).await
    }

    async fn revoke(&self, id: Uuid, now: Timestamp) -> Result<bool, RepositoryError> {
        let revoke = |tables: &mut Tables| match tables.api_keys.get_mut(&id) {
            Some(key) => {
                key.revoked_at.get_or_insert(now);
                tables.sync();
                true
            }
            None => false,
        };
        self.database.run_now("api_keys.revoke", |tables| Ok(revoke(tables))).await
    }
}
