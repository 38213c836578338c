use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use correio::application::ports::{
    InstanceRepository, InstancesPage, ListedInstances, RepositoryError, SealedInstance, SearchError,
};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{Instance, InstanceChange, InstanceId};
use tokio::sync::Semaphore;

/// What was read of an instance, by its id or by its name, is told only through the gate: once a permit.
pub struct GatedInstances {
    instances: Arc<dyn InstanceRepository>,
    pub gate: Semaphore,
    /// How many wait, or have waited.
    pub read: AtomicUsize,
}

impl GatedInstances {
    pub fn new(instances: Arc<dyn InstanceRepository>) -> Self {
        Self { instances, gate: Semaphore::new(0), read: AtomicUsize::new(0) }
    }

    async fn pass(&self) {
        self.read.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl InstanceRepository for GatedInstances {
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError> {
        self.instances.insert(instance).await
    }

    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        let found = self.instances.find_any(id).await;
        self.pass().await;
        found
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        self.instances.find(tenant, id).await
    }

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        name: &str,
    ) -> Result<Option<Instance>, RepositoryError> {
        let found = self.instances.find_by_name(tenant, channel, name).await;
        self.pass().await;
        found
    }

    async fn named(
        &self,
        channel_instance_id: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        self.instances.named(channel_instance_id, after).await
    }

    async fn addressed(
        &self,
        channel: &ChannelName,
        address: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        self.instances.addressed(channel, address, after).await
    }

    async fn by_event_secret(
        &self,
        channel_instance_id: &str,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        self.instances.by_event_secret(channel_instance_id, digest, now).await
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
        self.instances.update(tenant, id, change, now).await
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        self.instances.delete(tenant, id, now).await
    }
}
