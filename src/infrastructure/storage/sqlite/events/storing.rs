//! Storing events, however many at once.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::moving::{count, tell};
use crate::application::ports::{NewEvent, RepositoryError, StoredEvent};
use crate::domain::event::Event;
use crate::infrastructure::storage::shared::Batch;
use crate::infrastructure::storage::shared::events::event;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{time_text, time_text_option};

pub(super) struct Stores {
    pub database: SqliteDatabase,
}

/// A key that is still remembered gives no row back.
const KEEP_KEY: &str = "
    insert into messaging_event_keys as keys (tenant, source, key, event_id, first_at, expires_at)
    values (?1, ?2, ?3, ?4, ?5, ?6)
        on conflict (tenant, source, key) do update
       set event_id = excluded.event_id, first_at = excluded.first_at, expires_at = excluded.expires_at
     where keys.expires_at <= excluded.first_at
    returning event_id";

const STORE: &str = "
    insert into messaging_events (id, tenant, source, name, key, type, origin, ordering_key, data, via, occurred_at, received_at,
                                  status, updated_at, claimed_origin)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?12, ?14)
        on conflict (id) do nothing";

const FIRST: &str = "
    select events.*
      from messaging_events as events
     where events.tenant = ?1
       and events.id = coalesce(
           (select event_id
              from messaging_event_keys
             where tenant = ?1
               and source = ?2
               and key = ?3), ?4)";

#[async_trait]
impl Batch for Stores {
    type Request = NewEvent;
    type Answer = StoredEvent;

    async fn execute(&self, requests: &[NewEvent]) -> Result<Vec<StoredEvent>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(store(&mut transaction, request).await?);
        }
        transaction.commit().await.map_err(translate)?;
        Ok(answers)
    }
}

async fn store(transaction: &mut Transaction<'_, Sqlite>, new: &NewEvent) -> Result<StoredEvent, RepositoryError> {
    if !keep_key(transaction, new).await? || !insert(transaction, &new.event).await? {
        return Ok(StoredEvent::Repeated(first(transaction, &new.event).await?.map(Box::new)));
    }
    let event = &new.event;
    tell(transaction, event.id, event.status, None, event.received_at, event.via.as_deref()).await?;
    count(transaction, event.tenant.as_str(), &event.kind, event.status, 1).await?;
    for step in &new.steps {
        sqlx::query(
            "insert into messaging_event_steps (event_id, step, due_at)
             values (?1, ?2, ?3)
                 on conflict do nothing",
        )
        .bind(event.id.0.hyphenated())
        .bind(step.as_str())
        .bind(time_text(event.received_at))
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    }
    Ok(StoredEvent::New)
}

/// Whether no other event stands for its key.
async fn keep_key(transaction: &mut Transaction<'_, Sqlite>, new: &NewEvent) -> Result<bool, RepositoryError> {
    let event = &new.event;
    let Some(key) = &event.key else { return Ok(true) };
    let kept = sqlx::query(KEEP_KEY)
        .bind(event.tenant.as_str())
        .bind(&event.source)
        .bind(key)
        .bind(event.id.0.hyphenated())
        .bind(time_text(event.received_at))
        .bind(time_text(new.remembered_until))
        .fetch_optional(&mut **transaction)
        .await
        .map_err(translate)?;
    Ok(kept.is_some())
}

async fn insert(transaction: &mut Transaction<'_, Sqlite>, event: &Event) -> Result<bool, RepositoryError> {
    let inserted = sqlx::query(STORE)
        .bind(event.id.0.hyphenated())
        .bind(event.tenant.as_str())
        .bind(&event.source)
        .bind(&event.name)
        .bind(&event.key)
        .bind(&event.kind)
        .bind(&event.origin)
        .bind(&event.ordering_key)
        .bind(&event.data)
        .bind(&event.via)
        .bind(time_text_option(event.occurred_at))
        .bind(time_text(event.received_at))
        .bind(event.status.as_str())
        .bind(&event.claimed_origin)
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    Ok(inserted.rows_affected() > 0)
}

async fn first(transaction: &mut Transaction<'_, Sqlite>, asked: &Event) -> Result<Option<Event>, RepositoryError> {
    let row = sqlx::query(FIRST)
        .bind(asked.tenant.as_str())
        .bind(&asked.source)
        .bind(&asked.key)
        .bind(asked.id.0.hyphenated())
        .fetch_optional(&mut **transaction)
        .await
        .map_err(translate)?;
    row.as_ref().map(event).transpose()
}
