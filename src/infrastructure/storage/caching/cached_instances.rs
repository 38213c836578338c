//! A cache of instances for accepting messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;

use crate::application::ports::{
    InstanceRepository, InstancesPage, ListedInstances, RepositoryError, SealedInstance, SearchError,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceChange, InstanceId};

/// How long an instance is remembered. A change made by this process is seen immediately, one made by another process a
/// second after the database was last queried and has answered: until then an accept is as it would have been just
/// before. A delivery queries the database, so a message never travels with credentials that were replaced, or on
/// behalf of an instance that was deleted.
const KEPT: Duration = Duration::from_secs(1);

/// Saves the database one lookup per accept. Only instances that were found are remembered.
pub struct CachedInstances {
    instances: Arc<dyn InstanceRepository>,
    found: Cache<Name, Arc<Instance>>,
    /// Also names that no instance has: a provider may report of one that is gone, without pause.
    named: Cache<(String, Option<InstanceId>), Arc<InstancesPage>>,
    addressed: Cache<(ChannelName, String, Option<InstanceId>), Arc<InstancesPage>>,
    /// By name and digest; those that were found.
    by_event_secret: Cache<(String, [u8; 32]), Arc<Instance>>,
    /// Counts the changes that this process has made.
    changes: AtomicU64,
}

#[derive(PartialEq, Eq, Hash)]
struct Name {
    tenant: Tenant,
    channel: ChannelName,
    channel_instance_id: String,
}

impl CachedInstances {
    pub fn new(instances: Arc<dyn InstanceRepository>) -> Self {
        Self {
            instances,
            found: Cache::builder().max_capacity(10_000).time_to_live(KEPT).build(),
            named: Cache::builder().max_capacity(10_000).time_to_live(KEPT).build(),
            addressed: Cache::builder().max_capacity(10_000).time_to_live(KEPT).build(),
            by_event_secret: Cache::builder().max_capacity(10_000).time_to_live(KEPT).build(),
            changes: AtomicU64::new(0),
        }
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.found.invalidate_all();
        self.forget_those_of_providers();
    }

    fn forget_those_of_providers(&self) {
        self.named.invalidate_all();
        self.addressed.invalidate_all();
        self.by_event_secret.invalidate_all();
    }
}

#[async_trait]
impl InstanceRepository for CachedInstances {
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError> {
        let inserted = self.instances.insert(instance).await;
        // Of a name that was not there before it was remembered that it is not.
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.forget_those_of_providers();
        inserted
    }

    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        self.instances.find_any(id).await
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        self.instances.find(tenant, id).await
    }

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        channel_instance_id: &str,
    ) -> Result<Option<Instance>, RepositoryError> {
        let channel_instance_id = channel_instance_id.to_owned();
        let name = Name { tenant: tenant.clone(), channel: channel.clone(), channel_instance_id };
        if let Some(instance) = self.found.get(&name).await {
            return Ok(Some(Instance::clone(&instance)));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let found = self.instances.find_by_name(tenant, channel, &name.channel_instance_id).await?;
        if let Some(instance) = &found {
            self.found.insert(name, Arc::new(instance.clone())).await;
            // The instance may have been read before a change and remembered after it.
            if self.changes.load(Ordering::SeqCst) != changes {
                self.found.invalidate_all();
            }
        }
        Ok(found)
    }

    async fn named(
        &self,
        channel_instance_id: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let place = (channel_instance_id.to_owned(), after);
        if let Some(page) = self.named.get(&place).await {
            return Ok(InstancesPage::clone(&page));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let found = self.instances.named(channel_instance_id, after).await?;
        self.named.insert(place, Arc::new(found.clone())).await;
        if self.changes.load(Ordering::SeqCst) != changes {
            self.named.invalidate_all();
        }
        Ok(found)
    }

    async fn addressed(
        &self,
        channel: &ChannelName,
        address: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let place = (channel.clone(), address.to_owned(), after);
        if let Some(page) = self.addressed.get(&place).await {
            return Ok(InstancesPage::clone(&page));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let found = self.instances.addressed(channel, address, after).await?;
        self.addressed.insert(place, Arc::new(found.clone())).await;
        if self.changes.load(Ordering::SeqCst) != changes {
            self.addressed.invalidate_all();
        }
        Ok(found)
    }

    async fn by_event_secret(
        &self,
        channel_instance_id: &str,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let key = (channel_instance_id.to_owned(), *digest);
        if let Some(instance) = self.by_event_secret.get(&key).await {
            return Ok(Some(Instance::clone(&instance)));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        let found = self.instances.by_event_secret(channel_instance_id, digest, now).await?;
        if let Some(instance) = &found {
            self.by_event_secret.insert(key, Arc::new(instance.clone())).await;
            if self.changes.load(Ordering::SeqCst) != changes {
                self.by_event_secret.invalidate_all();
            }
        }
        Ok(found)
    }

    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<ListedInstances, SearchError> {
        self.instances.list(tenant, channel).await
    }

    async fn of_channels(
        &self,
        channels: &[ChannelName],
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<Instance>, RepositoryError> {
        self.instances.of_channels(channels, after, limit).await
    }

    async fn sealed(
        &self,
        channel: Option<&ChannelName>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        self.instances.sealed(channel, after, limit).await
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        change: &InstanceChange,
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let updated = self.instances.update(tenant, id, change, now).await;
        self.changed();
        updated
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        let deleted = self.instances.delete(tenant, id, now).await;
        self.changed();
        deleted
    }
}
