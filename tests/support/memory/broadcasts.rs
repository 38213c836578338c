use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{
    AcceptedBroadcast, BroadcastChange, BroadcastExpansion, BroadcastRepository, CancelledMessages, ChangedBroadcast,
    KeptBroadcast, Listed, RepositoryError, SearchError, TakeBroadcasts,
};
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest, KEPT};
use correio::domain::access::principal::Tenant;
use correio::domain::broadcast::counts::{BroadcastCounts, BroadcastStanding};
use correio::domain::broadcast::recipient::BroadcastRecipient;
use correio::domain::broadcast::{Broadcast, BroadcastId, BroadcastStatus};
use correio::domain::message::{Message, MessageId, MessageStatus};

use super::database::MemoryDatabase;
use super::tables::{BroadcastRow, Bug, Tables, fitting};

#[derive(Clone)]
pub struct MemoryBroadcasts {
    database: MemoryDatabase,
}

impl MemoryBroadcasts {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

fn counts(tables: &Tables, id: BroadcastId) -> BroadcastCounts {
    let mut counts = HashMap::new();
    for message in tables.messages.values().chain(&tables.deleted).filter(|it| it.broadcast == Some(id)) {
        *counts.entry(message.status).or_default() += 1;
    }
    BroadcastCounts(counts)
}

fn standing(tables: &Tables, broadcast: &Broadcast) -> BroadcastStanding {
    BroadcastStanding { broadcast: broadcast.clone(), counts: counts(tables, broadcast.id) }
}

fn kept(tables: &Tables, tenant: &Tenant, key: &IdempotencyKey, now: Timestamp) -> Option<KeptBroadcast> {
    tables.broadcasts.values().find_map(|row| {
        let request = row.request.as_ref().filter(|request| request.key == *key)?;
        let is_kept = row.broadcast.tenant == *tenant && row.broadcast.created_at + KEPT > now;
        is_kept.then_some(KeptBroadcast { fingerprint: request.fingerprint, id: row.broadcast.id })
    })
}

#[async_trait]
impl BroadcastRepository for MemoryBroadcasts {
    async fn accept(
        &self,
        broadcast: &Broadcast,
        recipients: &[BroadcastRecipient],
        request: Option<&IdempotentRequest>,
    ) -> Result<AcceptedBroadcast, RepositoryError> {
        let row =
            BroadcastRow { broadcast: broadcast.clone(), recipients: recipients.to_vec(), request: request.cloned() };
        let accept = move |tables: &mut Tables| {
            let Broadcast { id, tenant, created_at, .. } = &row.broadcast;
            let key = row.request.as_ref().map(|request| &request.key);
            if let Some(kept) = key.and_then(|key| kept(tables, tenant, key, *created_at)) {
                return Ok(AcceptedBroadcast::KeyTaken(kept));
            }
            let id = *id;
            tables.broadcasts.insert(id, row);
            tables.sync();
            Ok(AcceptedBroadcast::Stored)
        };
        self.database.run("broadcasts.accept", accept).await
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptBroadcast>, RepositoryError> {
        self.database.run_now("broadcasts.kept_request", |tables| Ok(kept(tables, tenant, key, now))).await
    }

    async fn find(&self, tenant: &Tenant, id: BroadcastId) -> Result<Option<BroadcastStanding>, RepositoryError> {
        let find = |tables: &mut Tables| {
            let row = tables.broadcasts.get(&id).filter(|row| row.broadcast.tenant == *tenant);
            Ok(row.map(|row| standing(tables, &row.broadcast)))
        };
        self.database.run_now("broadcasts.find", find).await
    }

    async fn unmade(&self, tenant: &Tenant) -> Result<u64, RepositoryError> {
        let count = |tables: &mut Tables| {
            let of = tables.broadcasts.values().map(|row| &row.broadcast).filter(|it| it.tenant == *tenant);
            Ok(of.filter(|it| it.status.may_make_more()).map(|it| u64::from(it.waits())).sum())
        };
        self.database.run_now("broadcasts.unmade", count).await
    }

    async fn messages(
        &self,
        broadcast: &Broadcast,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Listed, SearchError> {
        let list = |tables: &mut Tables| {
            let of = tables.messages.values().filter(|it| it.broadcast == Some(broadcast.id));
            let found: Vec<&Message> = of.filter(|it| after.is_none_or(|after| it.id > after)).collect();
            let page: Vec<Message> = fitting(found.iter().take(limit as usize).copied()).cloned().collect();
            let more = page.len() < found.len();
            Ok(Listed { messages: page, more })
        };
        Ok(self.database.run_now("broadcasts.messages", list).await?)
    }

    async fn change(
        &self,
        tenant: &Tenant,
        id: BroadcastId,
        change: BroadcastChange,
        now: Timestamp,
    ) -> Result<ChangedBroadcast, RepositoryError> {
        let tenant = tenant.clone();
        let write = move |tables: &mut Tables| {
            let row = tables.broadcasts.get_mut(&id).filter(|row| row.broadcast.tenant == tenant);
            let Some(BroadcastRow { broadcast, .. }) = row else { return Ok(ChangedBroadcast::Unknown) };
            if change.from().contains(&broadcast.status) {
                let is_for_later = broadcast.send_at.is_some_and(|send_at| send_at > now);
                broadcast.status = match change {
                    BroadcastChange::Pause => BroadcastStatus::Paused,
                    BroadcastChange::Cancel => BroadcastStatus::Cancelled,
                    BroadcastChange::Resume => BroadcastStatus::of_resumed(is_for_later, broadcast.waits()),
                };
                broadcast.finished_at = (change == BroadcastChange::Cancel).then_some(now);
                broadcast.updated_at = now;
            } else if !change.is_done(broadcast.status) {
                return Ok(ChangedBroadcast::Refused(broadcast.status));
            }
            let broadcast = broadcast.clone();
            tables.sync();
            Ok(ChangedBroadcast::Done(Box::new(standing(tables, &broadcast))))
        };
        self.database.run("broadcasts.change", write).await
    }

    async fn cancel_messages(
        &self,
        broadcast: &Broadcast,
        _: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<CancelledMessages, RepositoryError> {
        let id = broadcast.id;
        let cancel = move |tables: &mut Tables| {
            if tables.doubts_claims() {
                return Ok(CancelledMessages::InDoubt);
            }
            let is_queued = |it: &&Message| it.broadcast == Some(id) && it.status == MessageStatus::Queued;
            let queued = tables.messages.values().filter(is_queued).map(|it| it.id).take(limit as usize);
            let queued: Vec<MessageId> = queued.collect();
            let cancelled =
                queued.iter().filter_map(|id| tables.write(*id, "broadcasts.cancel_messages", |it| it.cancel(now)));
            let cancelled = cancelled.count();
            Ok(CancelledMessages::Cancelled(u32::try_from(cancelled).unwrap_or(u32::MAX)))
        };
        self.database.run("broadcasts.cancel_messages", cancel).await
    }

    async fn failures(&self, broadcast: &Broadcast, limit: u32) -> Result<Vec<(String, String)>, SearchError> {
        let list = |tables: &mut Tables| {
            let is_it = |it: &&Message| it.broadcast == Some(broadcast.id) && it.status == MessageStatus::Failed;
            let failed = tables.messages.values().filter(is_it).take(limit as usize);
            Ok(failed.map(|it| (it.recipient.clone(), it.error.clone().unwrap_or_default())).collect())
        };
        Ok(self.database.run_now("broadcasts.failures", list).await?)
    }
}

#[async_trait]
impl BroadcastExpansion for MemoryBroadcasts {
    async fn is_needed(&self) -> Result<bool, RepositoryError> {
        let is_at_work = |row: &BroadcastRow| {
            use BroadcastStatus::{Expanded, Expanding, Scheduled};
            matches!(row.broadcast.status, Scheduled | Expanding | Expanded)
        };
        let any = |tables: &mut Tables| Ok(tables.broadcasts.values().any(is_at_work));
        self.database.run_now("broadcasts.is_needed", any).await
    }

    async fn begin_due(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let begin = move |tables: &mut Tables| {
            let mut begun = 0;
            for row in tables.broadcasts.values_mut() {
                let is_due = row.broadcast.send_at.is_none_or(|send_at| send_at <= now);
                if row.broadcast.status == BroadcastStatus::Scheduled && is_due {
                    row.broadcast.status = BroadcastStatus::Expanding;
                    row.broadcast.updated_at = now;
                    begun += 1;
                }
            }
            tables.sync();
            Ok(begun)
        };
        self.database.run("broadcasts.begin_due", begin).await
    }

    async fn take(&self, take: &TakeBroadcasts) -> Result<Vec<Broadcast>, RepositoryError> {
        let take = take.clone();
        let change = move |tables: &mut Tables| {
            let known: Vec<_> = tables.nodes.keys().copied().collect();
            let is_due = |broadcast: &Broadcast| {
                broadcast.status == BroadcastStatus::Expanding
                    && broadcast
                        .node
                        .is_none_or(|node| node == take.node || take.gone.contains(&node) || !known.contains(&node))
            };
            let (from, to) = take.enough;
            let is_wanted = |broadcast: &Broadcast| broadcast.paced_at.is_none_or(|next| next <= from || next > to);
            let above = |id: BroadcastId| take.after.is_none_or(|after| id > after);
            let due = tables.broadcasts.values_mut().map(|row| (row.broadcast.id, row)).filter(|(id, _)| above(*id));
            let due = due.map(|(_, row)| row).filter(|row| is_due(&row.broadcast) && is_wanted(&row.broadcast));
            let due = due.take(take.limit as usize);
            let taken = due.map(|row| {
                row.broadcast.node = Some(take.node);
                row.broadcast.clone()
            });
            let taken = taken.collect();
            tables.sync();
            Ok(taken)
        };
        self.database.run("broadcasts.take", change).await
    }

    async fn recipients(
        &self,
        broadcast: &Broadcast,
        from: u32,
        most: u32,
    ) -> Result<Vec<BroadcastRecipient>, RepositoryError> {
        let find = |tables: &mut Tables| {
            let row = tables.broadcasts.get(&broadcast.id);
            let recipients = row.into_iter().flat_map(|row| &row.recipients);
            Ok(recipients.skip(from as usize).take(most as usize).cloned().collect())
        };
        self.database.run_now("broadcasts.recipients", find).await
    }

    async fn counts(&self, broadcast: &Broadcast) -> Result<BroadcastCounts, RepositoryError> {
        self.database.run_now("broadcasts.counts", |tables| Ok(counts(tables, broadcast.id))).await
    }

    async fn expand(
        &self,
        broadcast: &Broadcast,
        messages: &[Message],
        paced_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, RepositoryError> {
        let (id, cursor, messages) = (broadcast.id, broadcast.cursor, messages.to_vec());
        let expand = move |tables: &mut Tables| {
            let (ignores_cursor, makes_new_ids) = (tables.has(Bug::ExpandsTwice), tables.has(Bug::ExpandsTwice));
            let leaves_slots = tables.has(Bug::LeavesSlotsToOthers);
            let row = tables.broadcasts.get_mut(&id);
            let Some(BroadcastRow { broadcast, .. }) = row else { return Ok(false) };
            let is_as_it_says = broadcast.status == BroadcastStatus::Expanding && broadcast.cursor == cursor;
            if !is_as_it_says && !ignores_cursor {
                return Ok(false);
            }
            if is_as_it_says {
                broadcast.cursor += u32::try_from(messages.len()).unwrap();
                broadcast.paced_at = paced_at.filter(|_| !leaves_slots);
                broadcast.updated_at = now;
                if broadcast.waits() == 0 {
                    broadcast.status = BroadcastStatus::Expanded;
                }
            }
            for message in messages {
                let is_there = tables.messages.contains_key(&message.id);
                let id = if is_there && makes_new_ids { MessageId(uuid::Uuid::now_v7()) } else { message.id };
                if !is_there || makes_new_ids {
                    tables.slots.extend(message.next_attempt_at.map(|slot| (id, slot)));
                    tables.insert(Message { id, ..message }, "broadcasts.expand");
                }
            }
            tables.sync();
            Ok(true)
        };
        self.database.run("broadcasts.expand", expand).await
    }

    async fn finish(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let finish = move |tables: &mut Tables| {
            let is_open = |tables: &Tables, id| tables.open().any(|it| it.broadcast == Some(id));
            let all = tables.broadcasts.values().filter(|row| row.broadcast.status == BroadcastStatus::Expanded);
            let ended: Vec<BroadcastId> = all.map(|row| row.broadcast.id).filter(|id| !is_open(tables, *id)).collect();
            for row in tables.broadcasts.values_mut().filter(|row| ended.contains(&row.broadcast.id)) {
                row.broadcast.status = BroadcastStatus::Finished;
                row.broadcast.finished_at = Some(now);
                row.broadcast.updated_at = now;
            }
            tables.sync();
            Ok(ended.len() as u64)
        };
        self.database.run("broadcasts.finish", finish).await
    }
    async fn forget(&self, ended_since: Option<Timestamp>) -> Result<(), RepositoryError> {
        let forget = move |tables: &mut Tables| {
            let since = |at: Timestamp| ended_since.is_none_or(|since| at > since);
            for row in tables.broadcasts.values_mut().filter(|row| row.broadcast.finished_at.is_some_and(since)) {
                row.recipients.clear();
            }
            Ok(())
        };
        self.database.run("broadcasts.forget", forget).await
    }
}
