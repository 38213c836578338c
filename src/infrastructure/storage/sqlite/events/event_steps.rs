use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::moving::{Move, move_one};
use crate::application::ports::{BYTES_AT_ONCE, DueStep, EventSteps, FinishedStep, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::event::step::Remaining;
use crate::domain::event::{EventId, EventStatus, Step, StepResult};
use crate::infrastructure::storage::shared::events::event;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, time_text};

#[derive(Clone)]
pub struct SqliteEventSteps {
    database: SqliteDatabase,
}

impl SqliteEventSteps {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// The first in any case, and one more while those before it have fewer bytes than are read at once. One that was lost before
/// is alone.
const DUE: &str = "
    with first as (
             select steps.lost > 0 as was_lost
               from messaging_event_steps as steps
               join messaging_events as events
                 on events.id = steps.event_id
              where steps.step = ?1
                and steps.state = 'open'
                and steps.due_at <= ?2
              order by steps.due_at, steps.event_id
              limit 1),
         due as (
             select steps.due_at, steps.tries, steps.failures, steps.lost, steps.resend, events.*
               from messaging_event_steps as steps
               join messaging_events as events
                 on events.id = steps.event_id
              where steps.step = ?1
                and steps.state = 'open'
                and steps.due_at <= ?2
                and (steps.lost > 0) = (select was_lost from first)
              order by steps.due_at, steps.event_id
              limit coalesce((select case when was_lost then 1 else ?3 end from first), 0))
    select *
      from (select due.*,
                   sum(length(data)) over (order by due_at, id) - length(data) as bytes_before
              from due) as sized
     where bytes_before < ?4
     order by id";

#[async_trait]
impl EventSteps for SqliteEventSteps {
    async fn take(
        &self,
        step: Step,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueStep>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let rows = sqlx::query(DUE)
            .bind(step.as_str())
            .bind(time_text(now))
            .bind(limit)
            .bind(BYTES_AT_ONCE.cast_signed())
            .fetch_all(&mut *transaction)
            .await
            .map_err(translate)?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut event = event(row)?;
            lease_one(&mut transaction, event.id, step, now + lease).await?;
            if matches!(event.status, EventStatus::Received | EventStatus::Failed) {
                event.status = EventStatus::Processing;
                let begun = Move { step: Some(step), ..Move::to(event.id, EventStatus::Processing) };
                move_one(&mut transaction, &begun, now).await?;
            }
            event.status = EventStatus::Processing;
            let number = |column| get::<i64>(row, column).map(|number| u32::try_from(number).unwrap_or_default());
            let (tries, failures, lost) = (number("tries")? + 1, number("failures")?, number("lost")?);
            taken.push(DueStep { event, step, tries, failures, lost, resend: get(row, "resend")? });
        }
        transaction.commit().await.map_err(translate)?;
        Ok(taken)
    }

    async fn call_in(&self, step: Step, later_than: Timestamp, now: Timestamp) -> Result<u64, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let called = sqlx::query(
            "update messaging_event_steps
                set due_at = $3
              where step = $1
                and state = 'open'
                and due_at > $2",
        )
        .bind(step.as_str())
        .bind(time_text(later_than))
        .bind(time_text(now))
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(called.rows_affected())
    }

    async fn finish(
        &self,
        finished: &[FinishedStep],
        now: Timestamp,
    ) -> Result<Vec<Option<EventStatus>>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let mut statuses = Vec::with_capacity(finished.len());
        for one in finished {
            statuses.push(finish(&mut transaction, one, now).await?);
        }
        transaction.commit().await.map_err(translate)?;
        Ok(statuses)
    }
}

async fn lease_one(
    transaction: &mut Transaction<'_, Sqlite>,
    event: EventId,
    step: Step,
    until: Timestamp,
) -> Result<(), RepositoryError> {
    sqlx::query(
        "update messaging_event_steps
            set due_at = ?3, tries = tries + 1, lost = lost + 1
          where event_id = ?1
            and step = ?2",
    )
    .bind(event.0.hyphenated())
    .bind(step.as_str())
    .bind(time_text(until))
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    Ok(())
}

async fn finish(
    transaction: &mut Transaction<'_, Sqlite>,
    one: &FinishedStep,
    now: Timestamp,
) -> Result<Option<EventStatus>, RepositoryError> {
    if !write_result(transaction, one).await? {
        return Ok(None);
    }
    let to = one.result.leaves(remaining(transaction, one.event).await?);
    let reason = one.result.reason();
    let error = reason.filter(|_| one.result.has_failed());
    let (event, waits) = (one.event, one.result.waits());
    move_one(transaction, &Move { event, to, step: Some(one.step), reason, error, waits }, now).await?;
    Ok(Some(to))
}

/// Whether this try was still the last one.
async fn write_result(transaction: &mut Transaction<'_, Sqlite>, one: &FinishedStep) -> Result<bool, RepositoryError> {
    let statement = match &one.result {
        StepResult::Done { .. } => {
            "delete from messaging_event_steps
              where event_id = ?1 and step = ?2 and tries = ?3 and state = 'open' and ?4 is null and not ?5"
        }
        StepResult::PutOff { .. } => {
            "update messaging_event_steps
                set due_at = ?4, lost = 0
              where event_id = ?1 and step = ?2 and tries = ?3 and state = 'open' and not ?5"
        }
        StepResult::Again { .. } => {
            "update messaging_event_steps
                set due_at = ?4, failures = failures + ?5, lost = 0, resend = 0
              where event_id = ?1 and step = ?2 and tries = ?3 and state = 'open'"
        }
        StepResult::Dead { .. } => {
            "update messaging_event_steps
                set state = 'dead', lost = 0, resend = 0
              where event_id = ?1 and step = ?2 and tries = ?3 and state = 'open' and ?4 is null and ?5"
        }
    };
    let written = sqlx::query(statement)
        .bind(one.event.0.hyphenated())
        .bind(one.step.as_str())
        .bind(one.tries)
        .bind(one.result.due_at().map(time_text))
        .bind(one.result.has_failed())
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    Ok(written.rows_affected() > 0)
}

async fn remaining(transaction: &mut Transaction<'_, Sqlite>, event: EventId) -> Result<Remaining, RepositoryError> {
    let row = sqlx::query(
        "select count(*) filter (where state = 'open') as open,
                count(*) filter (where state = 'dead') as dead
           from messaging_event_steps
          where event_id = ?1",
    )
    .bind(event.0.hyphenated())
    .fetch_one(&mut **transaction)
    .await
    .map_err(translate)?;
    let count = |column| get::<i64>(&row, column).map(|count| u32::try_from(count).unwrap_or(1));
    Ok(Remaining { open: count("open")?, dead: count("dead")? })
}
