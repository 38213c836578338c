use async_trait::async_trait;
use correio::application::ports::{Handshakes, RepositoryError, SealedInstance};
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{Instance, InstanceId};

use super::database::MemoryDatabase;
use super::tables::Tables;

#[derive(Clone)]
pub struct MemoryHandshakes {
    database: MemoryDatabase,
}

impl MemoryHandshakes {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

/// As it was noted, if its credentials are still those.
fn noted(tables: &Tables, instance: &Instance) -> Option<[u8; 32]> {
    let (credentials, digest) = tables.handshakes.get(&instance.id)?;
    (*credentials == instance.credentials).then_some(*digest)
}

fn sealed(instance: &Instance) -> SealedInstance {
    SealedInstance {
        id: instance.id,
        channel_instance_id: instance.channel_instance_id.clone(),
        credentials: instance.credentials.clone(),
    }
}

#[async_trait]
impl Handshakes for MemoryHandshakes {
    async fn find(
        &self,
        channel: &ChannelName,
        digest: &[u8; 32],
        channel_instance_id: Option<&str>,
    ) -> Result<Option<SealedInstance>, RepositoryError> {
        let find = |tables: &mut Tables| {
            let is_it = |it: &&Instance| {
                it.channel == *channel
                    && channel_instance_id.is_none_or(|name| it.channel_instance_id == name)
                    && noted(tables, it) == Some(*digest)
            };
            tables.instances.values().find(is_it).map(sealed)
        };
        self.database.run_now("handshakes.find", |tables| Ok(find(tables))).await
    }

    async fn unnoted(
        &self,
        channel: &ChannelName,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        let unnoted = |tables: &mut Tables| {
            let is_asked_for = |it: &&Instance| {
                it.channel == *channel
                    && after.is_none_or(|after| it.id > after)
                    && !it.credentials.0.is_empty()
                    && noted(tables, it).is_none()
            };
            tables.instances.values().filter(is_asked_for).take(limit as usize).map(sealed).collect()
        };
        self.database.run_now("handshakes.unnoted", |tables| Ok(unnoted(tables))).await
    }

    async fn note(&self, noted: &[(SealedInstance, [u8; 32])]) -> Result<(), RepositoryError> {
        let note = |tables: &mut Tables| {
            for (instance, digest) in noted {
                let stored = tables.instances.get(&instance.id);
                if stored.is_some_and(|stored| stored.credentials == instance.credentials) {
                    tables.handshakes.insert(instance.id, (instance.credentials.clone(), *digest));
                }
            }
        };
        self.database
            .run_now("handshakes.note", |tables| {
                note(tables);
                Ok(())
            })
            .await
    }
}
