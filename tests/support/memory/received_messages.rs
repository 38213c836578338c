use async_trait::async_trait;
use correio::application::ports::{NOT_APART, Received, ReceivedMessages, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::inbound::Author;
use correio::domain::message::{Message, MessageStatus};

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

const STORE: &str = "received.store";
const DECIDE: &str = "received.decide";

#[derive(Clone)]
pub struct MemoryReceivedMessages {
    database: MemoryDatabase,
}

impl MemoryReceivedMessages {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ReceivedMessages for MemoryReceivedMessages {
    async fn store(&self, received: &Received) -> Result<bool, RepositoryError> {
        let received = received.clone();
        let store = move |tables: &mut Tables| {
            storable([received.message.content.text.as_deref(), Some(&received.key.of.id)])?;
            Ok(store(tables, received, STORE))
        };
        self.database.run(STORE, store).await
    }

    async fn keep(&self, received: &Received) -> Result<(), RepositoryError> {
        let received = received.clone();
        let keep = move |tables: &mut Tables| {
            tables.sync();
            if !tables.channel_messages.contains_key(&received.key.of) {
                tables.undecided.entry(received.key.of.clone()).or_insert(received);
            }
            Ok(())
        };
        self.database.run("received.keep", keep).await
    }

    async fn decide(&self, before: Timestamp, now: Timestamp) -> Result<bool, RepositoryError> {
        let decide = move |tables: &mut Tables| {
            let may_get_its_name = |received: &Received| {
                let is_under_way = |it: &&Message| {
                    [MessageStatus::Pending, MessageStatus::Processing].contains(&it.status)
                        && it.next_attempt_at.is_none()
                        && it.node.is_some_and(|node| tables.nodes.contains_key(&node))
                };
                let until = received.message.created_at + NOT_APART;
                tables.open().filter(is_under_way).any(|it| {
                    it.instance_id == received.key.of.instance
                        && it.attempt_started_at.unwrap_or(it.created_at) <= until
                })
            };
            let is_due = |received: &&Received| received.message.created_at < before && !may_get_its_name(received);
            let due: Vec<Received> = tables.undecided.values().filter(is_due).cloned().collect();
            for one in due {
                tables.undecided.remove(&one.key.of);
                let message = Message { created_at: now, updated_at: now, ..one.message.clone() };
                store(tables, Received { message, ..one }, DECIDE);
            }
            Ok(false)
        };
        self.database.run(DECIDE, decide).await
    }
}

fn store(tables: &mut Tables, received: Received, writer: &'static str) -> bool {
    let Received { key, author, message } = received;
    let is_new = match author {
        Author::Another => tables.received.insert(key.clone(), message.id).is_none_or(|id| {
            tables.received.insert(key, id);
            false
        }),
        Author::Phone | Author::PhoneOrUs => match tables.channel_messages.contains_key(&key.of) {
            true => false,
            false => tables.channel_messages.insert(key.of, message.id).is_none(),
        },
    };
    if is_new {
        tables.insert(message, writer);
    }
    is_new
}
