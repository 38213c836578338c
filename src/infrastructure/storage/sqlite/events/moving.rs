//! The one place that changes an event's status: with its history and its counts.

use sqlx::{Row as _, Sqlite, Transaction};

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::event::history::LONGEST_HISTORY;
use crate::domain::event::{EventId, EventStatus, Step};
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{parsed, time_text};

/// What becomes of an event.
pub(super) struct Move<'a> {
    pub event: EventId,
    pub to: EventStatus,
    pub step: Option<Step>,
    pub reason: Option<&'a str>,
    pub error: Option<&'a str>,
    /// It only waits: nothing is changed, if the last line of its step says the same.
    pub waits: bool,
}

impl Move<'_> {
    pub(super) fn to(event: EventId, to: EventStatus) -> Self {
        Self { event, to, step: None, reason: None, error: None, waits: false }
    }
}

/// A line of history comes with it, unless it waits as before.
pub(super) async fn move_one(
    transaction: &mut Transaction<'_, Sqlite>,
    moved: &Move<'_>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let before = sqlx::query("select tenant, type, status from messaging_events where id = ?1")
        .bind(moved.event.0.hyphenated())
        .fetch_optional(&mut **transaction)
        .await
        .map_err(translate)?;
    let Some(row) = before else { return Ok(()) };
    let from = parsed(&row, "status", EventStatus::parse)?;
    if moved.waits && from == moved.to && is_told(transaction, moved).await? {
        return Ok(());
    }
    sqlx::query(
        "update messaging_events
            set status = ?2,
                error = case when ?2 in ('received', 'processed') then null else coalesce(?3, error) end,
                updated_at = ?4
          where id = ?1",
    )
    .bind(moved.event.0.hyphenated())
    .bind(moved.to.as_str())
    .bind(moved.error)
    .bind(time_text(now))
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    tell(transaction, moved.event, moved.to, moved.step, now, moved.reason).await?;
    if from != moved.to {
        let tenant: String = row.try_get("tenant").map_err(translate)?;
        let kind: String = row.try_get("type").map_err(translate)?;
        count(transaction, &tenant, &kind, from, -1).await?;
        count(transaction, &tenant, &kind, moved.to, 1).await?;
    }
    Ok(())
}

/// Whether the last line of its step says the same.
async fn is_told(transaction: &mut Transaction<'_, Sqlite>, moved: &Move<'_>) -> Result<bool, RepositoryError> {
    let last = sqlx::query(
        "select status = ?3 and reason is ?4 as is_same
           from messaging_event_history
          where event_id = ?1
            and step = ?2
          order by number desc
          limit 1",
    )
    .bind(moved.event.0.hyphenated())
    .bind(moved.step.map(Step::as_str))
    .bind(moved.to.as_str())
    .bind(moved.reason)
    .fetch_optional(&mut **transaction)
    .await
    .map_err(translate)?;
    last.map_or(Ok(false), |row| row.try_get("is_same").map_err(translate))
}

/// Adds a line to the history, as long as that has room; the last one has in any case.
pub(super) async fn tell(
    transaction: &mut Transaction<'_, Sqlite>,
    event: EventId,
    status: EventStatus,
    step: Option<Step>,
    at: Timestamp,
    reason: Option<&str>,
) -> Result<(), RepositoryError> {
    sqlx::query(
        "insert into messaging_event_history (event_id, status, step, at, reason)
         select ?1, ?2, ?3, ?4, ?5
          where ?2 in ('processed', 'dead_letter')
             or (select count(*) from messaging_event_history where event_id = ?1) < ?6",
    )
    .bind(event.0.hyphenated())
    .bind(status.as_str())
    .bind(step.map(Step::as_str))
    .bind(time_text(at))
    .bind(reason)
    .bind(LONGEST_HISTORY)
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    Ok(())
}

pub(super) async fn count(
    transaction: &mut Transaction<'_, Sqlite>,
    tenant: &str,
    kind: &str,
    status: EventStatus,
    events: i64,
) -> Result<(), RepositoryError> {
    sqlx::query(
        "insert into messaging_event_counts as counts (tenant, type, status, events)
         values (?1, ?2, ?3, ?4)
             on conflict (tenant, type, status) do update
            set events = counts.events + excluded.events",
    )
    .bind(tenant)
    .bind(kind)
    .bind(status.as_str())
    .bind(events)
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    Ok(())
}
