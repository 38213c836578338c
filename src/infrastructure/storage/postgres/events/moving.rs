//! The one place that changes an event's status: with its history and its counts.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::event::history::LONGEST_HISTORY;
use crate::domain::event::{EventStatus, Step};

/// What becomes of an event.
pub(super) struct Move {
    pub event: Uuid,
    pub to: EventStatus,
    pub step: Option<Step>,
    pub reason: Option<String>,
    pub error: Option<String>,
}

/// Rows in the order of their ids. A line of history comes with each.
const MOVE: &str = "
    with asked as (
             select *
               from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
                 as asked (id, status, step, reason, error)),
         before as (
             select events.id, events.tenant, events.type, events.status
               from messaging_events as events
              where events.id = any($1)
              order by events.id
                for no key update),
         moved as (
             update messaging_events as events
                set status = asked.status,
                    error = case
                        when asked.status in ('received', 'processed') then null
                        else coalesce(asked.error, events.error)
                    end,
                    updated_at = $6
               from asked
              where events.id = asked.id
                and events.id in (select id from before)),
         told as (
             insert into messaging_event_history (event_id, status, step, at, reason)
             select asked.id, asked.status, asked.step, $6, asked.reason
               from asked
               join before
                 on before.id = asked.id
              where (select count(*)
                       from messaging_event_history as history
                      where history.event_id = asked.id) < $7
              order by asked.id),
         changes as (
             select before.tenant, before.type, sides.status, sides.events
               from before
               join asked
                 on asked.id = before.id
                and asked.status <> before.status
              cross join lateral (values (before.status, -1), (asked.status, 1)) as sides (status, events))
    insert into messaging_event_counts as counts (tenant, type, status, slot, events)
    select tenant, type, status, pg_backend_pid() % 8, sum(events)
      from changes
     group by tenant, type, status
     order by tenant, type, status
        on conflict (tenant, type, status, slot) do update
       set events = counts.events + excluded.events";

pub(super) async fn move_all(connection: &mut PgConnection, moves: &[Move], now: Timestamp) -> Result<(), sqlx::Error> {
    if moves.is_empty() {
        return Ok(());
    }
    sqlx::query(MOVE)
        .bind(moves.iter().map(|it| it.event).collect::<Vec<_>>())
        .bind(moves.iter().map(|it| it.to.as_str()).collect::<Vec<_>>())
        .bind(moves.iter().map(|it| it.step.map(Step::as_str)).collect::<Vec<_>>())
        .bind(moves.iter().map(|it| it.reason.clone()).collect::<Vec<_>>())
        .bind(moves.iter().map(|it| it.error.clone()).collect::<Vec<_>>())
        .bind(now)
        .bind(i64::from(LONGEST_HISTORY))
        .execute(connection)
        .await?;
    Ok(())
}
