use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{RepositoryError, StuckMessages};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::instance::channel::ChannelName;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::{StuckOfInstance, StuckSince};

use super::database::MemoryDatabase;
use super::tables::Tables;

#[derive(Clone)]
pub struct MemoryStuckMessages {
    database: MemoryDatabase,
}

impl MemoryStuckMessages {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl StuckMessages for MemoryStuckMessages {
    async fn count(&self, stuck: &[StuckSince], _: Timestamp) -> Result<Vec<StuckOfInstance>, RepositoryError> {
        let count = |tables: &mut Tables| {
            let mut counts = BTreeMap::<InstanceId, StuckOfInstance>::new();
            for message in tables.messages.values().filter(|message| stuck.iter().any(|since| is_stuck(message, since)))
            {
                let instance = message.instance_id;
                if !tables.instances.contains_key(&instance) {
                    continue;
                }
                let counted =
                    counts.entry(instance).or_insert(StuckOfInstance { instance, count: 0, none_since: None });
                counted.count += 1;
                let last = tables.receipt_times.get(&instance);
                let sent_at = message.sent_at.filter(|sent_at| last.is_none_or(|last| sent_at > last));
                counted.none_since = counted.none_since.into_iter().chain(sent_at).min();
            }
            counts.into_values().collect()
        };
        self.database.run_now("stuck.count", |tables| Ok(count(tables))).await
    }

    async fn note_receipts(&self, came: &[(InstanceId, Timestamp)]) -> Result<(), RepositoryError> {
        let came = came.to_vec();
        let note = move |tables: &mut Tables| {
            for (instance, at) in &came {
                let last = tables.receipt_times.entry(*instance).or_insert(*at);
                *last = *at.max(last);
            }
            Ok(())
        };
        self.database.run("stuck.note_receipts", note).await
    }

    /// Nobody asks these tables by SQL.
    async fn publish(&self, _: &[(ChannelName, Duration)]) -> Result<(), RepositoryError> {
        Ok(())
    }
}

pub(super) fn is_stuck(message: &Message, since: &StuckSince) -> bool {
    message.status == MessageStatus::Sent
        && message.channel == since.channel
        && (message.channel.as_str() != "whatsapp_evolution" || !is_a_group(&message.recipient))
        && message.sent_at.is_some_and(|sent_at| sent_at < since.sent_before)
}

/// Of which Evolution reports nothing.
fn is_a_group(recipient: &str) -> bool {
    recipient.ends_with("@g.us") || recipient.contains('-')
}
