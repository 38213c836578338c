use async_trait::async_trait;
use correio::application::ports::{RepositoryError, StatusSubscriptions};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{ConnectionStatus, Instance, InstanceId};
use correio::domain::status_webhook::{MOST, StatusSubscription};

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

#[derive(Clone)]
pub struct MemoryStatusSubscriptions {
    database: MemoryDatabase,
}

impl MemoryStatusSubscriptions {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

/// The instance behind a subscription, if it is not there, or no more.
pub(super) fn make_instance(tables: &mut Tables, id: InstanceId) {
    tables.deleted_instances.remove(&id);
    let Some(subscription) = tables.status_subscriptions.get(&id) else { return };
    let instance = Instance {
        id,
        tenant: subscription.tenant.clone(),
        user_id: subscription.user_id.clone(),
        name: None,
        channel: ChannelName::new("webhook"),
        channel_instance_id: StatusSubscription::instance_name(id),
        channel_phone_or_id: subscription.url.clone(),
        status: ConnectionStatus::Connected,
        credentials: subscription.credentials.clone(),
        event_secret: None,
        max_tries: None,
        rate_limit_per_minute: None,
        burst: None,
        retry_unknown: None,
        one_call_at_a_time: None,
        metadata: None,
        created_at: subscription.created_at,
        updated_at: subscription.updated_at,
    };
    tables.instances.entry(id).or_insert(instance);
}

#[async_trait]
impl StatusSubscriptions for MemoryStatusSubscriptions {
    async fn insert(&self, new: &StatusSubscription) -> Result<bool, RepositoryError> {
        let new = new.clone();
        let insert = move |tables: &mut Tables| {
            storable([Some(new.url.as_str()), new.channel_instance_id.as_deref(), Some(&new.user_id)])?;
            let of_tenant = tables.status_subscriptions.values().filter(|it| it.tenant == new.tenant).count();
            if of_tenant >= MOST as usize {
                return Ok(false);
            }
            let id = new.id;
            tables.status_subscriptions.insert(id, new);
            make_instance(tables, id);
            tables.sync();
            Ok(true)
        };
        self.database.run("subscriptions.insert", insert).await
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<StatusSubscription>, RepositoryError> {
        let find =
            |tables: &mut Tables| tables.status_subscriptions.get(&id).filter(|it| it.tenant == *tenant).cloned();
        self.database.run_now("subscriptions.find", |tables| Ok(find(tables))).await
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<StatusSubscription>, RepositoryError> {
        let list = |tables: &mut Tables| {
            let of_tenant = tables.status_subscriptions.values().filter(|it| it.tenant == *tenant);
            let mut listed: Vec<StatusSubscription> = of_tenant.cloned().collect();
            listed.sort_by_key(|subscription| (subscription.created_at, subscription.id));
            listed
        };
        self.database.run_now("subscriptions.list", |tables| Ok(list(tables))).await
    }

    async fn update(&self, changed: &StatusSubscription) -> Result<bool, RepositoryError> {
        let changed = changed.clone();
        let update = move |tables: &mut Tables| {
            let is_it = |it: &&mut StatusSubscription| it.tenant == changed.tenant && it.version == changed.version;
            let Some(stored) = tables.status_subscriptions.get_mut(&changed.id).filter(is_it) else { return Ok(false) };
            let updated_at = stored.updated_at.max(changed.updated_at);
            let (url, credentials) = (changed.url.clone(), changed.credentials.clone());
            let id = changed.id;
            *stored = StatusSubscription { version: stored.version + 1, updated_at, ..changed };
            if let Some(behind) = tables.instances.get_mut(&id) {
                behind.channel_phone_or_id = url;
                behind.credentials = credentials;
                behind.updated_at = updated_at;
            }
            tables.sync();
            Ok(true)
        };
        self.database.run("subscriptions.update", update).await
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        let tenant = tenant.clone();
        let delete = move |tables: &mut Tables| {
            if tables.status_subscriptions.get(&id).is_none_or(|it| it.tenant != tenant) {
                return Ok(false);
            }
            tables.status_subscriptions.remove(&id);
            tables.instances.remove(&id);
            tables.deleted_instances.entry(id).or_insert(now);
            tables.tellings.retain(|(_, subscription, _), _| *subscription != id);
            tables.sync();
            Ok(true)
        };
        self.database.run("subscriptions.delete", delete).await
    }
}
