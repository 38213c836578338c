use std::collections::HashMap;

use async_trait::async_trait;
use correio::application::ports::{Listed, MessageFilter, MessageSearch, RepositoryError, SearchError};
use correio::domain::access::principal::Tenant;
use correio::domain::message::attempt::Attempt;
use correio::domain::message::{Direction, Message, MessageId, MessageStatus};

use super::database::MemoryDatabase;
use super::stuck_messages::is_stuck;
use super::tables::{Tables, fitting};

#[derive(Clone)]
pub struct MemoryMessageSearch {
    database: MemoryDatabase,
}

impl MemoryMessageSearch {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl MessageSearch for MemoryMessageSearch {
    async fn find(&self, tenant: &Tenant, id: MessageId) -> Result<Option<(Message, Vec<Attempt>)>, RepositoryError> {
        let find = |tables: &mut Tables| {
            let message = tables.messages.get(&id).filter(|message| message.tenant == *tenant)?;
            Some((message.clone(), tables.attempts_of(id)))
        };
        self.database.run_now("search.find", |tables| Ok(find(tables))).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &MessageFilter,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Listed, SearchError> {
        let is_listed =
            |message: &&Message| matches(message, tenant, filter) && before.is_none_or(|before| message.id < before);
        let list = |tables: &mut Tables| {
            let found: Vec<&Message> =
                tables.messages.values().rev().filter(is_listed).take(limit as usize + 1).collect();
            let messages: Vec<Message> = fitting(found.iter().copied().take(limit as usize)).cloned().collect();
            Listed { more: found.len() > messages.len(), messages }
        };
        Ok(self.database.run_now("search.list", |tables| Ok(list(tables))).await?)
    }

    async fn count(&self, tenant: &Tenant, filter: &MessageFilter) -> Result<HashMap<MessageStatus, u64>, SearchError> {
        let count = |tables: &mut Tables| {
            let mut counts = HashMap::new();
            for message in tables.messages.values().filter(|message| matches(message, tenant, filter)) {
                *counts.entry(message.status).or_default() += 1;
            }
            counts
        };
        Ok(self.database.run_now("search.count", |tables| Ok(count(tables))).await?)
    }

    async fn count_open(&self, tenant: Option<&Tenant>) -> Result<u64, RepositoryError> {
        let is_counted =
            |message: &&Message| message.purpose.is_none() && tenant.is_none_or(|tenant| message.tenant == *tenant);
        self.database.run_now("search.count_open", |tables| Ok(tables.open().filter(is_counted).count() as u64)).await
    }

    async fn count_all(&self) -> Result<HashMap<MessageStatus, u64>, RepositoryError> {
        let count = |tables: &mut Tables| {
            let mut counts = HashMap::new();
            for message in tables.messages.values().filter(|message| message.direction == Direction::Sent) {
                *counts.entry(message.status).or_default() += 1;
            }
            counts
        };
        self.database.run_now("search.count_all", move |tables| Ok(count(tables))).await
    }
}

fn matches(message: &Message, tenant: &Tenant, filter: &MessageFilter) -> bool {
    message.tenant == *tenant
        && filter.purposes.contain(message.purpose)
        && filter.direction.is_none_or(|direction| message.direction == direction)
        && filter.status.is_none_or(|status| message.status == status)
        && filter.channel.as_ref().is_none_or(|channel| message.channel == *channel)
        && filter.channel_instance_id.as_ref().is_none_or(|name| message.channel_instance_id == *name)
        && filter.recipient.as_ref().is_none_or(|recipient| message.recipient == *recipient)
        && filter.created_after.is_none_or(|after| message.created_at >= after)
        && (!filter.is_scheduled || (message.next_attempt_at.is_some() && message.next_attempt_at == message.send_at))
        && filter.created_before.is_none_or(|before| message.created_at < before)
        && filter.stuck.as_ref().is_none_or(|stuck| stuck.iter().any(|since| is_stuck(message, since)))
}
