use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

use super::moving::{Move, move_all};
use super::storing::Stores;
use crate::application::ports::{
    BYTES_AT_ONCE, EventCounts, EventFilter, EventRepository, ListedEvents, NewEvent, RepositoryError, Retry,
    SearchError, StoredEvent,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, EventStatus, HistoryEntry};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, parsed};
use crate::infrastructure::storage::shared::events::{entry, event};
use crate::infrastructure::storage::shared::{Batcher, first_id, id_of_those_before, id_of_those_since};

#[derive(Clone)]
pub struct PgEventRepository {
    stores: Batcher<Stores>,
    database: PgDatabase,
}

/// Deleted by one statement, so that none takes long.
const PORTION: i64 = 1_000;

impl PgEventRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { stores: Batcher::new(Stores { database: database.clone() }), database }
    }

    /// Returns whether there may be more.
    async fn delete(&self, before: Timestamp, now: Timestamp) -> Result<bool, RepositoryError> {
        // An event that waited elsewhere before it was stored has the id that it got when it was received.
        let delete = sqlx::query(DELETE).bind(first_id(before)).bind(before).bind(PORTION).bind(now);
        let rows = self.database.run(async |connection| delete.fetch_all(connection).await).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let column = |name| rows.iter().map(|row| get::<String>(row, name)).collect::<Result<Vec<_>, _>>();
        let forget = sqlx::query(FORGET_COUNTS).bind(column("tenant")?).bind(column("type")?);
        self.database.run(async |connection| forget.execute(connection).await).await?;
        let deleted = rows.iter().map(|row| get::<i64>(row, "deleted")).sum::<Result<i64, _>>()?;
        Ok(deleted == PORTION)
    }
}

const FIND: &str = "
    select *
      from messaging_events
     where tenant = $1
       and name = $2
     order by id desc
     limit 1";

const HISTORY: &str = "
    select history.*
      from messaging_events as events
      join messaging_event_history as history
        on history.event_id = events.id
     where events.id = $2
       and events.tenant = $1
     order by history.number";

const COUNT: &str = "
    select type, status, sum(events)::bigint as events
      from messaging_event_counts
     where tenant = $1
     group by type, status";

const REOPEN: &str = "
    update messaging_event_steps
       set state = 'open', failures = 0, lost = 0, resend = true, due_at = $2
     where event_id = $1
       and state = 'dead'
    returning step";

const FORGET_KEYS: &str = "
    delete from messaging_event_keys
     where (tenant, source, key) in (
           select tenant, source, key
             from messaging_event_keys
            where expires_at <= (select least($1, clock_timestamp()))
            limit $2
              for update skip locked)";

/// What has steps left stays. `$4` is the time, from which the database's clock subtracts as much.
const DELETE: &str = "
    with old as (
             select id, tenant, type, status
               from messaging_events
              where id < $1
                and received_at < (select $2 - ($4 - least($4, clock_timestamp())))
                and status in ('processed', 'dead_letter')
              order by id
              limit $3
                for update skip locked),
         gone as (
             delete from messaging_events
              where id in (select id from old)),
         history as (
             delete from messaging_event_history
              where event_id in (select id from old)),
         steps as (
             delete from messaging_event_steps
              where event_id in (select id from old)),
         counted as (
             insert into messaging_event_counts as counts (tenant, type, status, slot, events)
             select tenant, type, status, pg_backend_pid() % 8, -count(*)
               from old
              group by tenant, type, status
              order by tenant, type, status
                 on conflict (tenant, type, status, slot) do update
                set events = counts.events + excluded.events)
    select tenant, type, count(*) as deleted
      from old
     group by tenant, type";

/// Of a type that no event is left of. The slots are locked before they are added up: what is counted meanwhile has other ones, or
/// waits.
const FORGET_COUNTS: &str = "
    with slots as (
             select counts.tenant, counts.type, counts.status, counts.slot, counts.events
               from messaging_event_counts as counts
               join unnest($1::text[], $2::text[]) as gone (tenant, type)
              using (tenant, type)
              order by counts.tenant, counts.type, counts.status, counts.slot
                for update of counts),
         empty as (
             select tenant, type, status
               from slots
              group by tenant, type, status
             having sum(events) = 0)
    delete from messaging_event_counts as counts
     using slots
      join empty
     using (tenant, type, status)
     where counts.tenant = slots.tenant
       and counts.type = slots.type
       and counts.status = slots.status
       and counts.slot = slots.slot";

#[async_trait]
impl EventRepository for PgEventRepository {
    async fn store(&self, new: &NewEvent) -> Result<StoredEvent, RepositoryError> {
        self.stores.submit(new.clone()).await
    }

    async fn find(&self, tenant: &Tenant, name: &str) -> Result<Option<Event>, RepositoryError> {
        let find = sqlx::query(FIND).bind(tenant.as_str()).bind(name);
        let row = self.database.read(async |connection| find.fetch_optional(connection).await).await?;
        row.as_ref().map(event).transpose()
    }

    async fn history(&self, tenant: &Tenant, id: EventId) -> Result<Vec<HistoryEntry>, RepositoryError> {
        let history = sqlx::query(HISTORY).bind(tenant.as_str()).bind(id.0);
        let rows = self.database.read(async |connection| history.fetch_all(connection).await).await?;
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
        let rows = self.database.searches.begin(Some(tenant)).await?.find_planned(query).await?;
        listed(&rows, limit)
    }

    async fn count(&self, tenant: &Tenant) -> Result<EventCounts, RepositoryError> {
        let count = sqlx::query(COUNT).bind(tenant.as_str());
        let rows = self.database.read(async |connection| count.fetch_all(connection).await).await?;
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
        let id = found.id.0;
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let reopened = sqlx::query(REOPEN).bind(id).bind(now).fetch_all(&mut *transaction).await?;
            if !reopened.is_empty() {
                let reason = Some("retried".to_owned());
                let moved = Move { reason, ..Move::to(id, EventStatus::Received) };
                move_all(&mut transaction, &[moved], now).await?;
            }
            transaction.commit().await?;
            Ok(reopened.len())
        };
        let reopened = self.database.run(work).await?;
        Ok(match self.find(tenant, name).await? {
            Some(event) if reopened > 0 => Retry::Retried(Box::new(event)),
            Some(event) => Retry::NotDead(Box::new(event)),
            None => Retry::Unknown,
        })
    }

    async fn sweep(&self, before: Option<Timestamp>, now: Timestamp) -> Result<bool, RepositoryError> {
        let forget = sqlx::query(FORGET_KEYS).bind(now).bind(PORTION);
        let forgotten = self.database.run(async |connection| forget.execute(connection).await).await?;
        let mut is_more = forgotten.rows_affected() == PORTION.cast_unsigned();
        if let Some(before) = before {
            is_more |= self.delete(before, now).await?;
        }
        Ok(is_more)
    }
}

/// One more than is listed, and each with the bytes of those before it: so it is seen whether others follow.
fn listing(tenant: &Tenant, filter: &EventFilter, before: Option<EventId>, limit: u32) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select *
           from (select page.*,
                        sum(octet_length(data)) over (order by id desc) - octet_length(data) as bytes_before
                   from (select *
                           from messaging_events
                          where tenant = ",
    );
    query.push_bind(tenant.as_str().to_owned());
    if let Some(before) = before {
        query.push(" and id < ").push_bind(before.0);
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
        query.push(" and received_at >= ").push_bind(after);
        query.push(" and id >= ").push_bind(id_of_those_since(after));
    }
    if let Some(before) = filter.received_before {
        query.push(" and received_at < ").push_bind(before);
        query.push(" and id < ").push_bind(id_of_those_before(before));
    }
    query.push(" order by id desc limit ").push_bind(i64::from(limit) + 1);
    query.push(") as page) as sized where bytes_before < ").push_bind(BYTES_AT_ONCE.cast_signed());
    query.push(" order by id desc");
    query
}

fn listed(rows: &[PgRow], limit: u32) -> Result<ListedEvents, SearchError> {
    let mut events: Vec<Event> = rows.iter().map(event).collect::<Result<_, _>>()?;
    let bytes: u64 = events.iter().map(|event| event.data.len() as u64).sum();
    let more = events.len() > limit as usize || bytes >= BYTES_AT_ONCE;
    events.truncate(limit as usize);
    Ok(ListedEvents { events, more })
}
