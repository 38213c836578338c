use async_trait::async_trait;
use correio::application::ports::{FailedMessages, FailedSelection, Replay, Replayed, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::message::{Message, MessageId, MessageStatus};

use super::database::MemoryDatabase;
use super::tables::{Tables, fitting};

const REPLAY: &str = "failed.replay";
const REPLAY_MATCHING: &str = "failed.replay_matching";

#[derive(Clone)]
pub struct MemoryFailedMessages {
    database: MemoryDatabase,
}

impl MemoryFailedMessages {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl FailedMessages for MemoryFailedMessages {
    async fn replay(&self, tenant: &Tenant, id: MessageId, now: Timestamp) -> Result<Replay, RepositoryError> {
        let tenant = tenant.clone();
        let replay = move |tables: &mut Tables| match tables.messages.get(&id) {
            Some(message) if message.tenant != tenant => Replay::Unknown,
            Some(message) if message.status == MessageStatus::Failed => {
                requeue(tables, id, now, REPLAY);
                Replay::Queued
            }
            Some(_) => Replay::NotFailed,
            None => Replay::Unknown,
        };
        self.database.run(REPLAY, move |tables| Ok(replay(tables))).await
    }

    async fn replay_matching(
        &self,
        selection: &FailedSelection,
        after: Option<MessageId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Replayed, RepositoryError> {
        let selection = selection.clone();
        let replay = move |tables: &mut Tables| {
            let failed = tables.messages.values().filter(|message| {
                message.status == MessageStatus::Failed
                    && message.updated_at <= now
                    && after.is_none_or(|after| message.id > after)
                    && selected(&selection, message)
            });
            let ids: Vec<MessageId> = fitting(failed.take(limit as usize)).map(|message| message.id).collect();
            for id in &ids {
                requeue(tables, *id, now, REPLAY_MATCHING);
            }
            Replayed { count: ids.len() as u64, last: ids.last().copied() }
        };
        self.database.run(REPLAY_MATCHING, move |tables| Ok(replay(tables))).await
    }
}

fn selected(selection: &FailedSelection, message: &Message) -> bool {
    selection.purposes.contain(message.purpose)
        && selection.tenant.as_ref().is_none_or(|tenant| message.tenant == *tenant)
        && selection.channel_instance_id.as_ref().is_none_or(|name| message.channel_instance_id == *name)
        && selection.created_after.is_none_or(|after| message.created_at >= after)
        && selection.created_before.is_none_or(|before| message.created_at < before)
}

fn requeue(tables: &mut Tables, id: MessageId, now: Timestamp, writer: &'static str) {
    tables.write(id, writer, |message| message.replay(now));
}
