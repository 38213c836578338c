use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::moving::{Move, move_all};
use crate::application::ports::{BYTES_AT_ONCE, DueStep, EventSteps, FinishedStep, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::event::step::Remaining;
use crate::domain::event::{EventStatus, Step, StepResult};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::events::event;

#[derive(Clone)]
pub struct PgEventSteps {
    database: PgDatabase,
}

impl PgEventSteps {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

/// The first in any case, and one more while those before it have fewer bytes than are read at once. One that was lost before
/// is alone.
const TAKE: &str = "
    with first as (
             select lost > 0 as was_lost
               from messaging_event_steps
              where step = $1
                and state = 'open'
                and due_at <= $2
              order by due_at, event_id
              limit 1
                for update skip locked),
         due as (
             select event_id, step, due_at
               from messaging_event_steps
              where step = $1
                and state = 'open'
                and due_at <= $2
                and (lost > 0) = (select was_lost from first)
              order by due_at, event_id
              limit (select case when was_lost then 1 else $3::bigint end from first)
                for update skip locked),
         sized as (
             select due.event_id,
                    coalesce(sum(octet_length(events.data)) over (
                        order by due.due_at, due.event_id rows between unbounded preceding and 1 preceding), 0) as bytes_before
               from due
               left join messaging_events as events
                 on events.id = due.event_id),
         taken as (
             update messaging_event_steps as steps
                set due_at = $4, tries = steps.tries + 1, lost = steps.lost + 1
              where steps.step = $1
                and steps.event_id in (select event_id from sized where bytes_before < $5)
          returning steps.event_id, steps.tries, steps.failures, steps.lost, steps.resend)
    select events.*, taken.tries, taken.failures, taken.lost - 1 as lost, taken.resend
      from taken
      join messaging_events as events
        on events.id = taken.event_id
     order by events.id";

/// One of whose event nothing is there is gone with it.
const FINISH: &str = "
    with asked as (
             select *
               from unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::timestamptz[])
                 as asked (event_id, step, tries, result, at)),
         mine as (
             select steps.event_id, steps.step
               from messaging_event_steps as steps
               join asked
                 on asked.event_id = steps.event_id
                and asked.step = steps.step
                and asked.tries = steps.tries
              where steps.state = 'open'
              order by steps.event_id, steps.step
                for update of steps),
         done as (
             delete from messaging_event_steps as steps
              using asked
              where asked.result = 'done'
                and steps.event_id = asked.event_id
                and steps.step = asked.step
                and (steps.event_id, steps.step) in (select event_id, step from mine)),
         others as (
             update messaging_event_steps as steps
                set state = case asked.result when 'dead' then 'dead' else 'open' end,
                    due_at = coalesce(asked.at, steps.due_at),
                    failures = steps.failures + case asked.result when 'failed' then 1 else 0 end,
                    lost = 0,
                    resend = steps.resend and asked.result = 'put off'
               from asked
              where asked.result <> 'done'
                and steps.event_id = asked.event_id
                and steps.step = asked.step
                and (steps.event_id, steps.step) in (select event_id, step from mine))
    select event_id, step
      from mine";

/// A statement of its own: it sees what the other has left.
const REMAINING: &str = "
    select event_id,
           count(*) filter (where state = 'open') as open,
           count(*) filter (where state = 'dead') as dead
      from messaging_event_steps
     where event_id = any($1)
     group by event_id";

/// Steps of one event that end at the same time, in two processes, wait for each other: the later one sees both.
const LOCK: &str = "
    select id
      from messaging_events
     where id = any($1)
     order by id
       for no key update";

#[async_trait]
impl EventSteps for PgEventSteps {
    async fn take(
        &self,
        step: Step,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueStep>, RepositoryError> {
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let rows = sqlx::query(TAKE)
                .bind(step.as_str())
                .bind(now)
                .bind(i64::from(limit))
                .bind(now + lease)
                .bind(BYTES_AT_ONCE.cast_signed())
                .fetch_all(&mut *transaction)
                .await?;
            let begun: Vec<Move> = rows.iter().filter_map(|row| begun(row, step)).collect();
            move_all(&mut transaction, &begun, now).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        let rows = self.database.run(work).await?;
        let due = |row: &PgRow| {
            let mut event = event(row)?;
            event.status = EventStatus::Processing;
            let number = |column| get::<i32>(row, column).map(i32::cast_unsigned);
            let (tries, failures, lost) = (number("tries")?, number("failures")?, number("lost")?);
            Ok(DueStep { event, step, tries, failures, lost, resend: get(row, "resend")? })
        };
        rows.iter().map(due).collect()
    }

    async fn call_in(&self, step: Step, later_than: Timestamp, now: Timestamp) -> Result<u64, RepositoryError> {
        let query = sqlx::query(
            "update messaging_event_steps
                set due_at = $3
              where step = $1
                and state = 'open'
                and due_at > $2",
        )
        .bind(step.as_str())
        .bind(later_than)
        .bind(now);
        let called = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(called.rows_affected())
    }

    async fn finish(
        &self,
        finished: &[FinishedStep],
        now: Timestamp,
    ) -> Result<Vec<Option<EventStatus>>, RepositoryError> {
        if finished.is_empty() {
            return Ok(Vec::new());
        }
        self.database.run(async |connection| finish(connection, finished, now).await).await
    }
}

/// The first step of an event to begin is told in its history.
fn begun(row: &PgRow, step: Step) -> Option<Move> {
    let (event, status) = (get::<Uuid>(row, "id").ok()?, get::<String>(row, "status").ok()?);
    let is_new = matches!(EventStatus::parse(&status), Some(EventStatus::Received | EventStatus::Failed));
    is_new.then_some(Move { step: Some(step), ..Move::to(event, EventStatus::Processing) })
}

async fn finish(
    connection: &mut PgConnection,
    finished: &[FinishedStep],
    now: Timestamp,
) -> Result<Vec<Option<EventStatus>>, sqlx::Error> {
    let ids: Vec<Uuid> = finished.iter().map(|it| it.event.0).collect();
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).bind(&ids).fetch_all(&mut *transaction).await?;
    let mine = sqlx::query_as::<_, (Uuid, String)>(FINISH)
        .bind(&ids)
        .bind(finished.iter().map(|it| it.step.as_str()).collect::<Vec<_>>())
        .bind(finished.iter().map(|it| it.tries.cast_signed()).collect::<Vec<_>>())
        .bind(finished.iter().map(|it| word(&it.result)).collect::<Vec<_>>())
        .bind(finished.iter().map(|it| it.result.due_at()).collect::<Vec<_>>())
        .fetch_all(&mut *transaction)
        .await?;
    let remaining: HashMap<Uuid, Remaining> = sqlx::query_as::<_, (Uuid, i64, i64)>(REMAINING)
        .bind(&ids)
        .fetch_all(&mut *transaction)
        .await?
        .into_iter()
        .map(|(event, open, dead)| {
            (event, Remaining { open: u32::try_from(open).unwrap_or(1), dead: u32::try_from(dead).unwrap_or(1) })
        })
        .collect();
    let (mut moves, mut statuses) = (Vec::new(), Vec::new());
    for one in finished {
        let is_mine = mine.iter().any(|(event, step)| *event == one.event.0 && step == one.step.as_str());
        let to = one.result.leaves(remaining.get(&one.event.0).copied().unwrap_or_default());
        statuses.push(is_mine.then_some(to));
        if is_mine {
            let reason = one.result.reason().map(str::to_owned);
            let error = reason.clone().filter(|_| one.result.has_failed());
            let waits = one.result.waits();
            moves.push(Move { event: one.event.0, to, step: Some(one.step), reason, error, waits });
        }
    }
    for one in distinct(moves) {
        move_all(&mut transaction, &one, now).await?;
    }
    transaction.commit().await?;
    Ok(statuses)
}

/// A statement moves an event once: two steps of one event that end together are told one after the other.
fn distinct(moves: Vec<Move>) -> Vec<Vec<Move>> {
    let mut rounds: Vec<Vec<Move>> = Vec::new();
    for one in moves {
        match rounds.iter_mut().find(|round| round.iter().all(|it| it.event != one.event)) {
            Some(round) => round.push(one),
            None => rounds.push(vec![one]),
        }
    }
    rounds
}

fn word(result: &StepResult) -> &'static str {
    match result {
        StepResult::Done { .. } => "done",
        StepResult::Again { has_failed: true, .. } => "failed",
        StepResult::Again { .. } => "again",
        StepResult::PutOff { .. } => "put off",
        StepResult::Dead { .. } => "dead",
    }
}
