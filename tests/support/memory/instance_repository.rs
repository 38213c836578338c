use async_trait::async_trait;
use correio::application::ports::{
    BYTES_AT_ONCE, BYTES_OF_AN_INSTANCE, INSTANCES_A_PAGE, InstanceRepository, InstancesPage, ListedInstances,
    RepositoryError, SealedInstance, SearchError,
};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{Instance, InstanceChange, InstanceId};
use correio::domain::status_webhook::StatusSubscription;

use super::database::MemoryDatabase;
use super::tables::{EventSecret, Tables, storable};

#[derive(Clone)]
pub struct MemoryInstanceRepository {
    database: MemoryDatabase,
}

impl MemoryInstanceRepository {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl InstanceRepository for MemoryInstanceRepository {
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError> {
        let insert = |tables: &mut Tables| {
            texts_are_storable(instance)?;
            let name = |it: &Instance| (it.tenant.clone(), it.channel.clone(), it.channel_instance_id.clone());
            let is_taken = |other: &Instance| other.id == instance.id || name(other) == name(instance);
            if tables.instances.values().any(is_taken) {
                return Err(RepositoryError::Conflict);
            }
            tables.instances.insert(instance.id, instance.clone());
            tables.sync();
            Ok(())
        };
        self.database.run_now("instances.insert", insert).await
    }

    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        self.database.run_now("instances.find_any", |tables| Ok(tables.instances.get(&id).cloned())).await
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        let find =
            |tables: &mut Tables| tables.instances.get(&id).filter(|it| it.tenant == *tenant && is_seen(it)).cloned();
        self.database.run_now("instances.find", |tables| Ok(find(tables))).await
    }

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        channel_instance_id: &str,
    ) -> Result<Option<Instance>, RepositoryError> {
        let is_it = |it: &&Instance| {
            it.tenant == *tenant
                && it.channel == *channel
                && it.channel_instance_id == channel_instance_id
                && is_seen(it)
        };
        self.database
            .run_now("instances.find_by_name", |tables| Ok(tables.instances.values().find(is_it).cloned()))
            .await
    }

    async fn named(
        &self,
        channel_instance_id: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let is_it = |it: &&Instance| it.channel_instance_id == channel_instance_id;
        self.database.run_now("instances.named", |tables| Ok(page(tables, after, is_it))).await
    }

    async fn addressed(
        &self,
        channel: &ChannelName,
        address: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let is_it = |it: &&Instance| it.channel == *channel && it.channel_phone_or_id == address;
        self.database.run_now("instances.addressed", |tables| Ok(page(tables, after, is_it))).await
    }

    async fn by_event_secret(
        &self,
        channel_instance_id: &str,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let find = |tables: &mut Tables| {
            let has = |secret: &EventSecret| {
                secret.digest == Some(*digest)
                    || secret.former.is_some_and(|(former, until)| former == *digest && until > now)
            };
            let is_it = |it: &&Instance| {
                it.channel_instance_id == channel_instance_id && tables.event_secrets.get(&it.id).is_some_and(has)
            };
            Ok(tables.instances.values().find(is_it).cloned())
        };
        self.database.run_now("instances.by_event_secret", find).await
    }

    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<ListedInstances, SearchError> {
        let is_listed = |it: &&Instance| {
            it.tenant == *tenant && channel.is_none_or(|channel| it.channel == *channel) && is_seen(it)
        };
        let list = |tables: &mut Tables| {
            let mut listed: Vec<Instance> = tables.instances.values().filter(is_listed).cloned().collect();
            listed.sort_by_key(|instance| (instance.created_at, instance.id));
            let mut before = 0;
            let fitting = listed.iter().take_while(|instance| {
                let metadata = instance.metadata.as_ref().map_or(0, String::len);
                let bytes = (metadata + instance.credentials.0.len()) as u64 + BYTES_OF_AN_INSTANCE;
                before += bytes;
                before - bytes < BYTES_AT_ONCE
            });
            let fitting = fitting.count();
            let more = fitting < listed.len();
            listed.truncate(fitting);
            ListedInstances { instances: listed, more }
        };
        Ok(self.database.run_now("instances.list", |tables| Ok(list(tables))).await?)
    }

    async fn of_channels(
        &self,
        channels: &[ChannelName],
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<Instance>, RepositoryError> {
        let is_asked_for = |it: &&Instance| after.is_none_or(|after| it.id > after) && channels.contains(&it.channel);
        let found = |tables: &mut Tables| {
            let mut found: Vec<Instance> = tables.instances.values().filter(is_asked_for).cloned().collect();
            found.sort_by_key(|instance| instance.id);
            found.truncate(limit as usize);
            found
        };
        self.database.run_now("instances.of_channels", |tables| Ok(found(tables))).await
    }

    async fn sealed(
        &self,
        channel: Option<&ChannelName>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        let is_asked_for = |it: &&Instance| {
            channel.is_none_or(|channel| it.channel == *channel)
                && after.is_none_or(|after| it.id > after)
                && !it.credentials.0.is_empty()
        };
        let sealed = |tables: &mut Tables| {
            let mut sealed: Vec<&Instance> = tables.instances.values().filter(is_asked_for).collect();
            sealed.sort_by_key(|instance| instance.id);
            let sealed = sealed.into_iter().take(limit as usize).map(|instance| SealedInstance {
                id: instance.id,
                channel_instance_id: instance.channel_instance_id.clone(),
                credentials: instance.credentials.clone(),
            });
            sealed.collect()
        };
        self.database.run_now("instances.sealed", |tables| Ok(sealed(tables))).await
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        change: &InstanceChange,
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let update = |tables: &mut Tables| {
            let Some(stored) = tables.instances.get_mut(&id).filter(|it| it.tenant == *tenant && is_seen(it)) else {
                return Ok(None);
            };
            let change = change.clone();
            let replaced = change.event_secret.as_ref().filter(|secret| secret.replaces == stored.event_secret);
            if let Some(secret) = replaced {
                let EventSecret { digest, former } = tables.event_secrets.entry(id).or_default();
                if let Some(until) = secret.former_until {
                    *former = digest.map(|digest| (digest, until));
                }
                *digest = Some(secret.digest);
            }
            let changed = Instance {
                channel_phone_or_id: change.channel_phone_or_id.unwrap_or_else(|| stored.channel_phone_or_id.clone()),
                name: change.name.unwrap_or_else(|| stored.name.clone()),
                status: change.status.unwrap_or(stored.status),
                credentials: change.credentials.unwrap_or_else(|| stored.credentials.clone()),
                max_tries: change.max_tries.unwrap_or(stored.max_tries),
                event_secret: replaced.map(|secret| secret.sealed.clone()).or(stored.event_secret.clone()),
                retry_unknown: change.retry_unknown.unwrap_or(stored.retry_unknown),
                one_call_at_a_time: change.one_call_at_a_time.or(stored.one_call_at_a_time),
                rate_limit_per_minute: change.rate_limit_per_minute.unwrap_or(stored.rate_limit_per_minute),
                burst: change.burst.unwrap_or(stored.burst),
                metadata: change.metadata.unwrap_or_else(|| stored.metadata.clone()),
                updated_at: stored.updated_at.max(now),
                ..stored.clone()
            };
            texts_are_storable(&changed)?;
            *stored = changed.clone();
            tables.sync();
            Ok(Some(changed))
        };
        self.database.run_now("instances.update", update).await
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        let tenant = tenant.clone();
        let delete = move |tables: &mut Tables| {
            if tables.instances.get(&id).is_none_or(|it| it.tenant != tenant || !is_seen(it)) {
                return Ok(false);
            }
            let former = tables.instances.remove(&id);
            tables.former_instances.extend(former.map(|former| (id, former)));
            tables.deleted_instances.entry(id).or_insert(now);
            tables.sync();
            Ok(true)
        };
        self.database.run("instances.delete", delete).await
    }
}

/// One that stands behind a subscription is seen by no client.
fn is_seen(instance: &Instance) -> bool {
    instance.channel_instance_id != StatusSubscription::instance_name(instance.id)
}

fn page(tables: &Tables, after: Option<InstanceId>, is_it: impl Fn(&&Instance) -> bool) -> InstancesPage {
    let above = tables.instances.values().filter(|it| after.is_none_or(|after| it.id > after));
    let rows: Vec<Instance> = above.filter(is_it).take(INSTANCES_A_PAGE).cloned().collect();
    InstancesPage::of(&rows, |row| Some(row.id), |row| Some(row.clone()))
}

fn texts_are_storable(instance: &Instance) -> Result<(), RepositoryError> {
    storable([
        Some(instance.user_id.as_str()),
        instance.name.as_deref(),
        Some(instance.channel.as_str()),
        Some(instance.channel_instance_id.as_str()),
        Some(instance.channel_phone_or_id.as_str()),
        instance.metadata.as_deref(),
    ])
}
