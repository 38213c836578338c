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
    /// It only waits: nothing is changed, if the last line of its step says the same.
    pub waits: bool,
}

impl Move {
    pub(super) fn to(event: Uuid, to: EventStatus) -> Self {
        Self { event, to, step: None, reason: None, error: None, waits: false }
    }
}

/// Rows in the order of their ids. One that waits as before stays as it is; a line of history comes with each other. The last
/// line always has room.
const MOVE: &str = "
    with asked as (
             select *
               from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $8::boolean[])
                 as asked (id, status, step, reason, error, waits)),
         before as (
             select events.id, events.tenant, events.type, events.status
               from messaging_events as events
              where events.id = any($1)
              order by events.id
                for no key update),
         news as (
             select asked.*, before.tenant, before.type, before.status as status_before
               from asked
               join before
                 on before.id = asked.id
              where not asked.waits
                 or asked.status <> before.status
                 or not exists (
                    select
                      from (select history.status, history.reason
                              from messaging_event_history as history
                             where history.event_id = asked.id
                               and history.step = asked.step
                             order by history.number desc
                             limit 1) as last
                     where last.status = asked.status
                       and last.reason is not distinct from asked.reason)),
         moved as (
             update messaging_events as events
                set status = news.status,
                    error = case
                        when news.status in ('received', 'processed') then null
                        else coalesce(news.error, events.error)
                    end,
                    updated_at = $6
               from news
              where events.id = news.id),
         told as (
             insert into messaging_event_history (event_id, status, step, at, reason)
             select id, status, step, $6, reason
               from news
              where status in ('processed', 'dead_letter')
                 or (select count(*)
                       from messaging_event_history as history
                      where history.event_id = news.id) < $7
              order by id),
         changes as (
             select news.tenant, news.type, sides.status, sides.events
               from news
              cross join lateral (values (news.status_before, -1), (news.status, 1)) as sides (status, events)
              where news.status <> news.status_before)
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
        .bind(moves.iter().map(|it| it.waits).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
