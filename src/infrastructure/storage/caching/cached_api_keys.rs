use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::future::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use uuid::Uuid;

use crate::application::ports::{ApiKeyRepository, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::api_key::ApiKey;
use crate::domain::access::principal::Tenant;

/// How long a key is remembered. A key that is revoked, in whatever process, stops this long after
/// the last lookup that still found it was answered.
const KEPT: Duration = Duration::from_secs(3);

/// How long it is remembered that there is no such key. A key that is created works at the latest this long afterwards,
/// in whatever process; later only by what a lookup that was made before it was created still takes.
const UNKNOWN_KEPT: Duration = Duration::from_secs(1);

/// Keys of each kind, at most. Guessing fills no more memory, and does not drive out those that are used.
const CAPACITY: u64 = 10_000;

/// How long it is remembered that a key was found, after it was last used.
const MET_KEPT: Duration = Duration::from_secs(60 * 60);

/// Lookups at the same time of keys that this process has not met, so that guessing takes few of the connections that sends
/// need.
const STRANGERS: usize = 4;

/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Saves the database a lookup per request, also those of keys that are unknown; and callers that ask for the same key
/// at the same time share a lookup.
pub struct CachedApiKeys {
    api_keys: Arc<dyn ApiKeyRepository>,
    found: Cache<[u8; 32], ApiKey>,
    /// Since when it is known that there is none.
    unknown: Cache<[u8; 32], Instant>,
    /// Those that were found before, valid or not: a lookup of theirs waits for no others.
    met: Cache<[u8; 32], ()>,
    strangers: Semaphore,
}

/// Why a lookup found nothing.
enum Missing {
    Unknown,
    Unanswered(RepositoryError),
}

impl CachedApiKeys {
    pub fn new(api_keys: Arc<dyn ApiKeyRepository>) -> Self {
        let found = Cache::builder().max_capacity(CAPACITY).time_to_live(KEPT).build();
        let unknown = Cache::builder().max_capacity(CAPACITY).time_to_live(UNKNOWN_KEPT).build();
        let met = Cache::builder().max_capacity(CAPACITY).time_to_idle(MET_KEPT).build();
        Self { api_keys, found, unknown, met, strangers: Semaphore::new(STRANGERS) }
    }

    async fn look_up(&self, hash: &[u8; 32]) -> Result<ApiKey, Missing> {
        let _turn = match self.met.get(hash).await {
            Some(()) => None,
            None => Some(self.turn().await.map_err(Missing::Unanswered)?),
        };
        let asked = Instant::now();
        let key = self.api_keys.find_by_hash(hash).await.map_err(Missing::Unanswered)?;
        match key {
            Some(_) => self.met.insert(*hash, ()).await,
            None => self.unknown.insert(*hash, asked).await,
        }
        key.ok_or(Missing::Unknown)
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, RepositoryError> {
        let busy =
            || RepositoryError::Unavailable("too many API keys that are not known yet are being looked up".to_owned());
        timeout(PATIENCE, self.strangers.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
    }
}

#[async_trait]
impl ApiKeyRepository for CachedApiKeys {
    async fn ensure_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, RepositoryError> {
        self.api_keys.ensure_tenant(tenant, now).await
    }

    async fn has_tenant_beside(&self, name: &str) -> Result<bool, RepositoryError> {
        self.api_keys.has_tenant_beside(name).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError> {
        let inserted = self.api_keys.insert(key).await;
        self.unknown.invalidate(&key.hash).await;
        inserted
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError> {
        if self.unknown.get(hash).await.is_some_and(|since| since.elapsed() < UNKNOWN_KEPT) {
            return Ok(None);
        }
        // Nothing that fails is remembered, but all that wait for it share it.
        match self.found.try_get_with_by_ref(hash, self.look_up(hash)).await {
            Ok(key) => Ok(Some(key)),
            Err(missing) => match missing.as_ref() {
                Missing::Unknown => Ok(None),
                Missing::Unanswered(error) => Err(error.clone()),
            },
        }
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
