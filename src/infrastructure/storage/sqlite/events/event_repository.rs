use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::moving::{Move, count, move_one};
use super::storing::Stores;
use crate::application::ports::{
    BYTES_AT_ONCE, EventCounts, EventFilter, EventRepository, ListedEvents, NewEvent, RepositoryError, Retry,
    SearchError, StoredEvent,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, EventStatus, HistoryEntry};
use crate::infrastructure::storage::shared::events::{entry, event};
use crate::infrastructure::storage::shared::{Batcher, first_id, id_of_those_before, id_of_those_since};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, parsed, time_text};

#[derive(Clone)]
pub struct SqliteEventRepository {
    stores: Batcher<Stores>,
    database: SqliteDatabase,
}

/// Deleted by one transaction, so that no writer waits long.
const PORTION: u32 = 500;

impl SqliteEventRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { stores: Batcher::new(Stores { database: database.clone() }), database }
    }

    async fn delete(&self, before: Timestamp) -> Result<bool, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let old = sqlx::query(
            "select id, tenant, type, status
               from messaging_events
              where id < ?1
                and received_at < ?2
                and status in ('processed', 'dead_letter')
              order by id
              limit ?3",
        )
        .bind(first_id(before).hyphenated())
        .bind(time_text(before))
        .bind(PORTION)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
        for row in &old {
            let id: String = get(row, "id")?;
            delete_one(&mut transaction, &id).await?;
            let status = parsed(row, "status", EventStatus::parse)?;
            count(&mut transaction, get(row, "tenant")?, get(row, "type")?, status, -1).await?;
        }
        let kinds = old.iter().map(|row| Ok((get(row, "tenant")?, get(row, "type")?)));
        for (tenant, kind) in kinds.collect::<Result<BTreeSet<(String, String)>, RepositoryError>>()? {
            // Of which no event is left: there is one writer, so nobody counts meanwhile.
            sqlx::query("delete from messaging_event_counts where tenant = ?1 and type = ?2 and events = 0")
                .bind(tenant)
                .bind(kind)
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(old.len() == PORTION as usize)
    }
}

/// What goes with an event.
const OF_AN_EVENT: [&str; 3] = [
    "delete from messaging_events where id = ?1",
    "delete from messaging_event_history where event_id = ?1",
    "delete from messaging_event_steps where event_id = ?1",
];

async fn delete_one(transaction: &mut Transaction<'_, Sqlite>, id: &str) -> Result<(), RepositoryError> {
    for statement in OF_AN_EVENT {
        sqlx::query(statement).bind(id).execute(&mut **transaction).await.map_err(translate)?;
    }
    Ok(())
}

#[async_trait]
impl EventRepository for SqliteEventRepository {
    async fn store(&self, new: &NewEvent) -> Result<StoredEvent, RepositoryError> {
        self.stores.submit(new.clone()).await
    }

    async fn find(&self, tenant: &Tenant, name: &str) -> Result<Option<Event>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let row = sqlx::query(
            "select *
               from messaging_events
              where tenant = ?1
                and name = ?2
              order by id desc
              limit 1",
        )
        .bind(tenant.as_str())
        .bind(name)
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        row.as_ref().map(event).transpose()
    }

    async fn history(&self, tenant: &Tenant, id: EventId) -> Result<Vec<HistoryEntry>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let rows = sqlx::query(
            "select history.*
               from messaging_events as events
               join messaging_event_history as history
                 on history.event_id = events.id
              where events.id = ?2
                and events.tenant = ?1
              order by history.number",
        )
        .bind(tenant.as_str())
        .bind(id.0.hyphenated())
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        rows.iter().map(entry).collect()
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<ListedEvents, SearchError> {
        let query = listing(tenant, filter, before, limit);
        let rows = self.database.searches().find(Some(tenant), query).await?;
        let mut events: Vec<Event> = rows.iter().map(event).collect::<Result<_, _>>()?;
        let bytes: u64 = events.iter().map(|event| event.data.len() as u64).sum();
        let more = events.len() > limit as usize || bytes >= BYTES_AT_ONCE;
        events.truncate(limit as usize);
        Ok(ListedEvents { events, more })
    }

    async fn count(&self, tenant: &Tenant) -> Result<EventCounts, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let rows = sqlx::query("select type, status, events from messaging_event_counts where tenant = ?1")
            .bind(tenant.as_str())
            .fetch_all(self.database.readers())
            .await
            .map_err(translate)?;
        let mut counts = EventCounts::default();
        for row in &rows {
            let events: i64 = get(row, "events")?;
            let status = parsed(row, "status", EventStatus::parse)?;
            counts.add(status, get(row, "type")?, u64::try_from(events).unwrap_or(0));
        }
        Ok(counts)
    }

    async fn retry(&self, tenant: &Tenant, name: &str, now: Timestamp) -> Result<Retry, RepositoryError> {
        let Some(found) = self.find(tenant, name).await? else { return Ok(Retry::Unknown) };
        let mut transaction = self.database.begin().await?;
        let reopened = sqlx::query(
            "update messaging_event_steps
                set state = 'open', failures = 0, lost = 0, resend = 1, due_at = ?2
              where event_id = ?1
                and state = 'dead'
             returning step",
        )
        .bind(found.id.0.hyphenated())
        .bind(time_text(now))
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
        if !reopened.is_empty() {
            let moved = Move { reason: Some("retried"), ..Move::to(found.id, EventStatus::Received) };
            move_one(&mut transaction, &moved, now).await?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(match self.find(tenant, name).await? {
            Some(event) if !reopened.is_empty() => Retry::Retried(Box::new(event)),
            Some(event) => Retry::NotDead(Box::new(event)),
            None => Retry::Unknown,
        })
    }

    async fn sweep(&self, before: Option<Timestamp>, now: Timestamp) -> Result<bool, RepositoryError> {
        let forgotten = sqlx::query(
            "delete from messaging_event_keys
              where (tenant, source, key) in (
                    select tenant, source, key
                      from messaging_event_keys
                     where expires_at <= ?1
                     limit ?2)",
        )
        .bind(time_text(now))
        .bind(PORTION)
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        let is_more = forgotten.rows_affected() == u64::from(PORTION);
        Ok(match before {
            Some(before) => self.delete(before).await? || is_more,
            None => is_more,
        })
    }
}

/// One more than is listed, and each with the bytes of those before it: so it is seen whether others follow.
fn listing(tenant: &Tenant, filter: &EventFilter, before: Option<EventId>, limit: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "select *
           from (select page.*,
                        sum(length(data)) over (order by id desc) - length(data) as bytes_before
                   from (select *
                           from messaging_events
                          where tenant = ",
    );
    query.push_bind(tenant.as_str().to_owned());
    if let Some(before) = before {
        query.push(" and id < ").push_bind(before.0.hyphenated());
    }
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status.as_str());
        if status != EventStatus::Processed {
            query.push(" and status <> 'processed'");
        }
    }
    for (column, value) in [("type", &filter.kind), ("source", &filter.source)] {
        if let Some(value) = value {
            query.push(format!(" and {column} = ")).push_bind(value.clone());
        }
    }
    // An event gets its id when it is received. Without these, what is rare would be looked for back to the first one.
    if let Some(after) = filter.received_after {
        query.push(" and received_at >= ").push_bind(time_text(after));
        query.push(" and id >= ").push_bind(id_of_those_since(after).hyphenated());
    }
    if let Some(before) = filter.received_before {
        query.push(" and received_at < ").push_bind(time_text(before));
        query.push(" and id < ").push_bind(id_of_those_before(before).hyphenated());
    }
    query.push(" order by id desc limit ").push_bind(i64::from(limit) + 1);
    query.push(") as page) as sized where bytes_before < ").push_bind(BYTES_AT_ONCE.cast_signed());
    query.push(" order by id desc");
    query
}
