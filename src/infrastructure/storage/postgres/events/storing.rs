//! Storing events, however many at once.

use async_trait::async_trait;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, Postgres};
use uuid::Uuid;

use crate::application::ports::{NewEvent, RepositoryError, StoredEvent};
use crate::domain::event::Event;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::Batch;
use crate::infrastructure::storage::shared::events::event;

pub(super) struct Stores {
    pub database: PgDatabase,
}

/// Keys and counts in the order of their own keys, as every statement that writes several. A key that is still remembered
/// gives no row back, and its event is not stored; nor is one that is there.
const STORE: &str = "
    with asked as (
             select *
               from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                           $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[],
                           $14::timestamptz[], $17::text[])
                 as asked (id, tenant, source, name, key, type, origin, ordering_key, data, via, occurred_at, received_at, status,
                           remembered_until, claimed_origin)),
         kept as (
             insert into messaging_event_keys as keys (tenant, source, key, event_id, first_at, expires_at)
             select tenant, source, key, id, received_at, remembered_until
               from asked
              where key is not null
              order by tenant, source, key
                 on conflict (tenant, source, key) do update
                set event_id = excluded.event_id, first_at = excluded.first_at, expires_at = excluded.expires_at
              where keys.expires_at <= excluded.first_at
          returning event_id),
         stored as (
             insert into messaging_events (id, tenant, source, name, key, type, origin, claimed_origin, ordering_key, data, via,
                                           occurred_at, received_at, status, updated_at)
             select id, tenant, source, name, key, type, origin, claimed_origin, ordering_key, data, via,
                    occurred_at, received_at, status, received_at
               from asked
              where key is null
                 or id in (select event_id from kept)
              order by id
                 on conflict (id) do nothing
          returning id, tenant, type, status, via, received_at),
         told as (
             insert into messaging_event_history (event_id, status, at, reason)
             select id, status, received_at, via
               from stored
              order by id),
         to_do as (
             insert into messaging_event_steps (event_id, step, due_at)
             select stored.id, steps.step, stored.received_at
               from stored
               join unnest($15::uuid[], $16::text[]) as steps (id, step)
                 on steps.id = stored.id
              order by stored.id, steps.step
                 on conflict do nothing),
         counted as (
             insert into messaging_event_counts as counts (tenant, type, status, slot, events)
             select tenant, type, status, pg_backend_pid() % 8, count(*)
               from stored
              group by tenant, type, status
              order by tenant, type, status
                 on conflict (tenant, type, status, slot) do update
                set events = counts.events + excluded.events)
    select id
      from stored";

/// What is there in the place of what was not stored: a statement of its own, which sees what was committed meanwhile.
const FIRST: &str = "
    select asked.id as asked_id, events.*
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as asked (id, tenant, source, key)
      left join messaging_event_keys as keys
        on keys.tenant = asked.tenant
       and keys.source = asked.source
       and keys.key = asked.key
      join messaging_events as events
        on events.id = coalesce(keys.event_id, asked.id)
       and events.tenant = asked.tenant";

#[async_trait]
impl Batch for Stores {
    type Request = NewEvent;
    type Answer = StoredEvent;

    async fn execute(&self, requests: &[NewEvent]) -> Result<Vec<StoredEvent>, RepositoryError> {
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let stored = store(requests).fetch_all(&mut *transaction).await?;
            let first = match stored.len() == requests.len() {
                true => Vec::new(),
                false => first(requests).fetch_all(&mut *transaction).await?,
            };
            transaction.commit().await?;
            Ok((stored, first))
        };
        let (stored, first) = self.database.run(work).await?;
        let stored: Vec<Uuid> = stored.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        let mut repeated: Vec<(Uuid, Event)> =
            first.iter().map(|row| Ok((get(row, "asked_id")?, event(row)?))).collect::<Result<_, RepositoryError>>()?;
        let answer = |request: &NewEvent| {
            if stored.contains(&request.event.id.0) {
                return StoredEvent::New;
            }
            let found = repeated.iter().position(|(asked, _)| *asked == request.event.id.0);
            StoredEvent::Repeated(found.map(|found| Box::new(repeated.swap_remove(found).1)))
        };
        Ok(requests.iter().map(answer).collect())
    }
}

fn store(requests: &[NewEvent]) -> Query<'static, Postgres, PgArguments> {
    let text = |of: fn(&Event) -> &str| requests.iter().map(|it| of(&it.event).to_owned()).collect::<Vec<_>>();
    let option =
        |of: fn(&Event) -> &Option<String>| requests.iter().map(|it| of(&it.event).clone()).collect::<Vec<_>>();
    let steps = || requests.iter().flat_map(|it| it.steps.iter().map(|step| (it.event.id.0, step.as_str())));
    sqlx::query(STORE)
        .bind(requests.iter().map(|it| it.event.id.0).collect::<Vec<_>>())
        .bind(text(|event| event.tenant.as_str()))
        .bind(text(|event| &event.source))
        .bind(text(|event| &event.name))
        .bind(option(|event| &event.key))
        .bind(text(|event| &event.kind))
        .bind(option(|event| &event.origin))
        .bind(option(|event| &event.ordering_key))
        .bind(text(|event| &event.data))
        .bind(option(|event| &event.via))
        .bind(requests.iter().map(|it| it.event.occurred_at).collect::<Vec<_>>())
        .bind(requests.iter().map(|it| it.event.received_at).collect::<Vec<_>>())
        .bind(requests.iter().map(|it| it.event.status.as_str()).collect::<Vec<_>>())
        .bind(requests.iter().map(|it| it.remembered_until).collect::<Vec<_>>())
        .bind(steps().map(|(id, _)| id).collect::<Vec<_>>())
        .bind(steps().map(|(_, step)| step).collect::<Vec<_>>())
        .bind(option(|event| &event.claimed_origin))
}

fn first(requests: &[NewEvent]) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(FIRST)
        .bind(requests.iter().map(|it| it.event.id.0).collect::<Vec<_>>())
        .bind(requests.iter().map(|it| it.event.tenant.as_str().to_owned()).collect::<Vec<_>>())
        .bind(requests.iter().map(|it| it.event.source.clone()).collect::<Vec<_>>())
        .bind(requests.iter().map(|it| it.event.key.clone()).collect::<Vec<_>>())
}
