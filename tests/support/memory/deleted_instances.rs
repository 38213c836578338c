use async_trait::async_trait;
use correio::application::ports::{DeletedInstances, OpenMessages, Position, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::message::attempt::{Attempt, AttemptOutcome};
use correio::domain::message::{Message, MessageId, MessageStatus};
use uuid::Uuid;

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

/// The writer of a [`Change`](super::Change) that fails a message of a deleted instance.
pub const FAIL: &str = "deleted_instances.fail";

#[derive(Clone)]
pub struct MemoryDeletedInstances {
    database: MemoryDatabase,
}

impl MemoryDeletedInstances {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl DeletedInstances for MemoryDeletedInstances {
    async fn list(&self, limit: u32) -> Result<Vec<InstanceId>, RepositoryError> {
        let list = move |tables: &mut Tables| {
            let is_told = |id: &InstanceId| tables.status_subscriptions.contains_key(id);
            let deleted = tables.deleted_instances.iter().filter(|(id, _)| !is_told(id));
            let mut deleted: Vec<_> = deleted.map(|(id, at)| (*at, *id)).collect();
            deleted.sort();
            deleted.into_iter().take(limit as usize).map(|(_, id)| id).collect()
        };
        self.database.run("deleted_instances.list", move |tables| Ok(list(tables))).await
    }

    /// In order of the ids.
    async fn open_messages(
        &self,
        instances: &[InstanceId],
        after: &Position,
        reach: u32,
    ) -> Result<OpenMessages, RepositoryError> {
        let (instances, reach) = (instances.to_vec(), reach as usize);
        let after = after.0.first().map(|id| MessageId(Uuid::parse_str(id).unwrap()));
        let is_ahead = move |message: &&Message| {
            let is_due = message.node.is_none() && message.next_attempt_at.is_none();
            !is_due && after.is_none_or(|after| message.id > after)
        };
        let look = move |tables: &mut Tables| {
            let looked: Vec<&Message> = tables.open().filter(is_ahead).take(reach).collect();
            let next = looked.last().filter(|_| looked.len() == reach).map(|last| Position(vec![last.id.to_string()]));
            let found = looked.iter().filter(|message| instances.contains(&message.instance_id));
            OpenMessages { found: found.map(|message| (message.instance_id, message.id)).collect(), next }
        };
        self.database.run("deleted_instances.open_messages", move |tables| Ok(look(tables))).await
    }

    async fn fail(
        &self,
        instances: &[InstanceId],
        messages: &[MessageId],
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, RepositoryError> {
        let (instances, messages, reason) = (instances.to_vec(), messages.to_vec(), reason.to_owned());
        let fail_all = move |tables: &mut Tables| {
            storable([Some(reason.as_str())])?;
            let mut failed = 0;
            for id in messages {
                if tables.messages.get(&id).is_some_and(|message| instances.contains(&message.instance_id)) {
                    failed += u64::from(fail(tables, id, &reason, dead_lettered_at, now));
                }
            }
            Ok(failed)
        };
        self.database.run(FAIL, fail_all).await
    }

    async fn forget(&self, instances: &[InstanceId]) -> Result<(), RepositoryError> {
        let instances = instances.to_vec();
        let forget = move |tables: &mut Tables| {
            for id in instances {
                if tables.deleted_instances.remove(&id).is_some() {
                    tables.paces.remove(&id);
                    tables.sync();
                }
            }
            Ok(())
        };
        self.database.run("deleted_instances.forget", forget).await
    }
}

fn fail(tables: &mut Tables, id: MessageId, reason: &str, dead_lettered_at: Option<Timestamp>, now: Timestamp) -> bool {
    let is_queued = tables.messages.get(&id).is_some_and(|message| message.status == MessageStatus::Queued);
    let failed = tables.write(id, FAIL, |message| message.fail(reason, dead_lettered_at, now));
    let Some(failed) = failed else { return false };
    let attempt = Attempt {
        number: failed.try_number,
        started_at: failed.attempt_started_at,
        finished_at: Some(now),
        // Nobody is called for one that is queued.
        outcome: Some(if is_queued { AttemptOutcome::Permanent } else { AttemptOutcome::Unknown }),
        error: failed.error,
        http_status: None,
    };
    tables.tell_attempt(id, attempt);
    true
}
