use async_trait::async_trait;
use correio::application::ports::{
    BYTES_AT_ONCE, EventCounts, EventFilter, EventRepository, ListedEvents, NewEvent, RepositoryError, Retry,
    SearchError, StoredEvent,
};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::event::{Event, EventId, EventStatus, HistoryEntry};

use crate::support::memory::database::MemoryDatabase;
use crate::support::memory::tables::{Tables, storable};

const PORTION: usize = 500;

#[derive(Clone)]
pub struct MemoryEventRepository {
    database: MemoryDatabase,
}

impl MemoryEventRepository {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl EventRepository for MemoryEventRepository {
    async fn store(&self, new: &NewEvent) -> Result<StoredEvent, RepositoryError> {
        let new = new.clone();
        let store = move |tables: &mut Tables| {
            let event = &new.event;
            storable([Some(event.name.as_str()), Some(&event.kind), Some(&event.data), event.key.as_deref()])?;
            tables.sync();
            Ok(tables.of_events.store(new))
        };
        self.database.run("events.store", store).await
    }

    async fn find(&self, tenant: &Tenant, name: &str) -> Result<Option<Event>, RepositoryError> {
        let find = |tables: &mut Tables| {
            let found = tables.of_events.events.values().rev().find(|it| it.tenant == *tenant && it.name == name);
            Ok(found.cloned())
        };
        self.database.run_now("events.find", find).await
    }

    async fn history(&self, tenant: &Tenant, id: EventId) -> Result<Vec<HistoryEntry>, RepositoryError> {
        let history = |tables: &mut Tables| {
            let is_theirs = tables.of_events.events.get(&id).is_some_and(|event| event.tenant == *tenant);
            let lines = tables.of_events.history.get(&id).filter(|_| is_theirs);
            Ok(lines.cloned().unwrap_or_default())
        };
        self.database.run_now("events.history", history).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<ListedEvents, SearchError> {
        let list = |tables: &mut Tables| {
            let is_wanted = |event: &&Event| {
                event.tenant == *tenant
                    && before.is_none_or(|before| event.id < before)
                    && filter.status.is_none_or(|status| event.status == status)
                    && filter.kind.as_ref().is_none_or(|kind| event.kind == *kind)
                    && filter.source.as_ref().is_none_or(|source| event.source == *source)
                    && filter.received_after.is_none_or(|after| event.received_at >= after)
                    && filter.received_before.is_none_or(|before| event.received_at < before)
            };
            let mut wanted = tables.of_events.events.values().rev().filter(is_wanted).peekable();
            let (mut events, mut bytes) = (Vec::new(), 0);
            while events.len() < limit as usize && bytes < BYTES_AT_ONCE {
                let Some(event) = wanted.next() else { break };
                bytes += event.data.len() as u64;
                events.push(event.clone());
            }
            Ok(ListedEvents { more: wanted.peek().is_some(), events })
        };
        Ok(self.database.run_now("events.list", list).await?)
    }

    async fn count(&self, tenant: &Tenant) -> Result<EventCounts, RepositoryError> {
        self.database.run_now("events.count", |tables| Ok(tables.of_events.count(tenant))).await
    }

    async fn retry(&self, tenant: &Tenant, name: &str, now: Timestamp) -> Result<Retry, RepositoryError> {
        let Some(found) = self.find(tenant, name).await? else { return Ok(Retry::Unknown) };
        let retry = move |tables: &mut Tables| {
            let steps = tables.of_events.steps.iter_mut();
            let dead: Vec<_> = steps.filter(|((event, _), step)| *event == found.id && step.is_dead).collect();
            let is_dead = !dead.is_empty();
            for (_, step) in dead {
                (step.is_dead, step.due_at) = (false, now);
                (step.failures, step.lost, step.resend) = (0, 0, true);
            }
            if is_dead {
                let reason = Some("retried".to_owned());
                tables.of_events.move_one(found.id, EventStatus::Received, None, reason, None, now);
            }
            Ok(match tables.of_events.events.get(&found.id).cloned().map(Box::new) {
                Some(event) if is_dead => Retry::Retried(event),
                Some(event) => Retry::NotDead(event),
                None => Retry::Unknown,
            })
        };
        self.database.run("events.retry", retry).await
    }

    async fn sweep(&self, before: Option<Timestamp>, now: Timestamp) -> Result<bool, RepositoryError> {
        let sweep = move |tables: &mut Tables| {
            let events = &mut tables.of_events;
            events.keys.retain(|_, (_, until)| *until > now);
            let is_old = |event: &&Event| {
                event.status.is_at_its_end() && before.is_some_and(|before| event.received_at < before)
            };
            let old: Vec<EventId> = events.events.values().filter(is_old).map(|it| it.id).take(PORTION).collect();
            for id in &old {
                events.delete(*id);
            }
            Ok(old.len() == PORTION)
        };
        self.database.run("events.sweep", sweep).await
    }
}
