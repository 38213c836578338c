//! Taking what is due from one instance after the other, while one has more than can be taken at once.

use uuid::Uuid;

use super::relaying::take_those;
use crate::application::ports::{IN_A_TURN, RepositoryError, TURNS_AT_ONCE, Turns, TurnsTaken};
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::portion::fitting;
use crate::infrastructure::storage::sqlite::row::{get, id_list, time_text};

/// The ids of what is due. Every part is a probe of an index: from one instance to the next of which something waits for a time,
/// due or not.
pub const DUE_IN_TURNS: &str = concat!(
    "
    with recursive turns (instance_id, looked, found) as (
        select ?4, 0, 0
        union all
        select (select instance_id
                  from messaging_messages indexed by messaging_messages_due_by_instance
                 where instance_id > turns.instance_id
                   and next_attempt_at is not null
                 order by instance_id
                 limit 1),
               turns.looked + 1,
               turns.found + (turns.looked > 0
                              and turns.instance_id not in (select value from json_each(?3))
                              and exists (
                                  select 1
                                    from messaging_messages indexed by messaging_messages_due_by_instance
                                   where instance_id = turns.instance_id
                                     and next_attempt_at <= ?1
                                     and status in ('pending', 'queued', 'processing')))
          from turns
         where turns.instance_id is not null
           and turns.looked < ?5
           and turns.found < ?6
    ),
    -- What is found before one is enough: it has its turn the next time.
    last_one (instance_id) as materialized (
        select instance_id
          from turns
         where found < ?6
         order by looked desc
         limit 1
    ),
    found (id, since, place) as materialized (
        select messages.id, messages.next_attempt_at,
               row_number() over (partition by messages.instance_id order by messages.next_attempt_at, messages.id)
          from turns
         cross join messaging_messages as messages
         where turns.looked > 0
           and turns.found < ?6
           and turns.instance_id not in (select value from json_each(?3))
           and messages.id in (
                   select id
                     from messaging_messages indexed by messaging_messages_due_by_instance
                    where instance_id = turns.instance_id
                      and next_attempt_at <= ?1
                      and status in ('pending', 'queued', 'processing')
                      and id not in (select value from json_each(?2))
                    order by next_attempt_at, id
                    limit ?7)
    ),
    due (id, since, place) as materialized (
        select id, since, place
          from found
         order by place, since, id
         limit ?6
    ),",
    fitting!("due", "found.place, found.since, found.id", "?8"),
    "
    select last_one.instance_id as turn_of, due.id as id
      from last_one
      left join due
        on due.id in (select id from fitting)
     order by due.place, due.since, due.id"
);

pub async fn take_in_turns(database: &SqliteDatabase, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
    let mut transaction = database.begin().await?;
    let rows = sqlx::query(DUE_IN_TURNS)
        .bind(time_text(turns.now))
        .bind(id_list(turns.held.iter().map(|held| held.0)))
        .bind(id_list(turns.full.iter().map(|instance| instance.0)))
        .bind(turns.after.map_or(Uuid::nil(), |after| after.0).hyphenated())
        .bind(TURNS_AT_ONCE)
        .bind(turns.limit)
        .bind(IN_A_TURN)
        .bind(turns.with_content)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
    // Without one there is none after the last that was looked at.
    let turn_of: Option<Option<String>> = rows.first().map(|row| get(row, "turn_of")).transpose()?;
    let next = turn_of.flatten().and_then(|id| Uuid::parse_str(&id).ok()).map(InstanceId);
    let due: Vec<Option<String>> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
    let due: Vec<String> = due.into_iter().flatten().collect();
    if due.is_empty() {
        return Ok(TurnsTaken { messages: Vec::new(), next });
    }
    let messages = take_those(&mut transaction, &due, (turns.node, turns.with_content), turns.now).await?;
    transaction.commit().await.map_err(translate)?;
    Ok(TurnsTaken { messages, next })
}
