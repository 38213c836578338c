use async_trait::async_trait;
use correio::application::ports::{InstanceRepository, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::MessageId;
use correio::domain::message::attempt::{Attempt, AttemptOutcome};

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

const DELETE: &str = "instances.delete";

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
        let find = |tables: &mut Tables| tables.instances.get(&id).filter(|it| it.tenant == *tenant).cloned();
        self.database.run_now("instances.find", |tables| Ok(find(tables))).await
    }

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        channel_instance_id: &str,
    ) -> Result<Option<Instance>, RepositoryError> {
        let is_it = |it: &&Instance| {
            it.tenant == *tenant && it.channel == *channel && it.channel_instance_id == channel_instance_id
        };
        self.database
            .run_now("instances.find_by_name", |tables| Ok(tables.instances.values().find(is_it).cloned()))
            .await
    }

    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<Vec<Instance>, RepositoryError> {
        let is_listed = |it: &&Instance| it.tenant == *tenant && channel.is_none_or(|channel| it.channel == *channel);
        let list = |tables: &mut Tables| {
            let mut listed: Vec<Instance> = tables.instances.values().filter(is_listed).cloned().collect();
            listed.sort_by_key(|instance| (instance.created_at, instance.id));
            listed
        };
        self.database.run_now("instances.list", |tables| Ok(list(tables))).await
    }

    async fn update(&self, instance: &Instance) -> Result<bool, RepositoryError> {
        let update = |tables: &mut Tables| {
            texts_are_storable(instance)?;
            let stored = tables.instances.get_mut(&instance.id).filter(|it| it.tenant == instance.tenant);
            let Some(stored) = stored else { return Ok(false) };
            stored.channel_phone_or_id.clone_from(&instance.channel_phone_or_id);
            stored.name.clone_from(&instance.name);
            stored.status = instance.status;
            stored.credentials = instance.credentials.clone();
            stored.max_tries = instance.max_tries;
            stored.metadata.clone_from(&instance.metadata);
            stored.updated_at = instance.updated_at;
            tables.sync();
            Ok(true)
        };
        self.database.run_now("instances.update", update).await
    }

    async fn delete(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, RepositoryError> {
        let delete = |tables: &mut Tables| {
            storable([Some(reason)])?;
            if tables.instances.get(&id).is_none_or(|it| it.tenant != *tenant) {
                return Ok(false);
            }
            tables.instances.remove(&id);
            tables.sync();
            let open = tables.open().filter(|message| message.instance_id == id);
            for message in open.map(|message| message.id).collect::<Vec<_>>() {
                fail(tables, message, reason, dead_lettered_at, now);
            }
            Ok(true)
        };
        self.database.run_now(DELETE, delete).await
    }
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

fn fail(tables: &mut Tables, id: MessageId, reason: &str, dead_lettered_at: Option<Timestamp>, now: Timestamp) {
    let failed = tables.write(id, DELETE, |message| message.fail(reason, dead_lettered_at, now));
    let Some(failed) = failed else { return };
    let attempt = Attempt {
        number: failed.try_number,
        started_at: failed.attempt_started_at,
        finished_at: Some(now),
        outcome: Some(AttemptOutcome::Permanent),
        error: failed.error,
        http_status: None,
    };
    tables.tell_attempt(id, attempt);
}
