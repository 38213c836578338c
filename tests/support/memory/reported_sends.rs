use async_trait::async_trait;
use correio::application::ports::{ReportedSends, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::message::delivery::FailureKind;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::{ReportedSend, UnknownFailure};

use super::database::MemoryDatabase;
use super::tables::Tables;

#[derive(Clone)]
pub struct MemoryReportedSends {
    database: MemoryDatabase,
}

impl MemoryReportedSends {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

fn is_unknown(message: &Message) -> bool {
    message.status == MessageStatus::Failed && message.failure == Some(FailureKind::Unknown)
}

#[async_trait]
impl ReportedSends for MemoryReportedSends {
    async fn keep(&self, sent: &ReportedSend, now: Timestamp) -> Result<(), RepositoryError> {
        let sent = sent.clone();
        let keep = move |tables: &mut Tables| {
            if !tables.channel_messages.contains_key(&sent.of) {
                tables.reported_sends.entry(sent.of.clone()).or_insert((sent, now));
            }
            Ok(())
        };
        self.database.run("sends.keep", keep).await
    }

    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<ReportedSend>, RepositoryError> {
        let due = move |tables: &mut Tables| {
            let Tables { reported_sends, channel_messages, .. } = tables;
            reported_sends.retain(|name, (_, at)| *at >= before || !channel_messages.contains_key(name));
            let mut due: Vec<_> = reported_sends.values().filter(|(_, at)| *at < before).cloned().collect();
            due.sort_by_key(|(sent, at)| (*at, sent.of.clone()));
            Ok(due.into_iter().take(limit as usize).map(|(sent, _)| sent).collect())
        };
        self.database.run("sends.due", due).await
    }

    async fn unknown_failures(
        &self,
        instance: InstanceId,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<UnknownFailure>, RepositoryError> {
        let found = |tables: &mut Tables| {
            let of_it = tables.messages.values().filter(|it| it.instance_id == instance && is_unknown(it));
            let failure = |it: &Message| {
                let tried_at = it.attempt_started_at.filter(|at| (since..=until).contains(at))?;
                Some(UnknownFailure {
                    message: it.id,
                    recipient: it.recipient.clone(),
                    text: it.content.text.clone(),
                    tried_at,
                    name: it.channel_message_id.clone(),
                })
            };
            of_it.filter_map(failure).collect()
        };
        self.database.run_now("sends.unknown_failures", |tables| Ok(found(tables))).await
    }

    async fn settle(&self, sent: &ReportedSend, failure: Option<&UnknownFailure>) -> Result<bool, RepositoryError> {
        let (sent, failure) = (sent.clone(), failure.cloned());
        let settle = move |tables: &mut Tables| {
            tables.reported_sends.remove(&sent.of);
            let Some(failure) = failure else { return Ok(false) };
            if tables.channel_messages.contains_key(&sent.of) {
                return Ok(false);
            }
            let is_as_found = |it: &&mut Message| is_unknown(it) && it.channel_message_id == failure.name;
            let Some(message) = tables.messages.get_mut(&failure.message).filter(is_as_found) else { return Ok(false) };
            message.channel_message_id = Some(sent.of.id.clone());
            tables.channel_messages.insert(sent.of.clone(), failure.message);
            tables.sync();
            Ok(true)
        };
        self.database.run("sends.settle", settle).await
    }
}
