//! Taking what is due from one instance after the other, while one has more than can be taken at once.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::writing::take_fitting;
use crate::application::ports::{IN_A_TURN, RepositoryError, TURNS_AT_ONCE, Turns, TurnsTaken};
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{get, message_columns_with_content_if, messages};

/// Every part is a probe of an index: from one instance to the next of which something waits for a time, due or not. It is compared
/// as the index has it, `at time zone 'UTC'`: in order of the column itself the index of what is due would serve as well, and
/// be walked past all that others have. Nobody has a turn before every week has that index.
pub const TAKE_IN_TURNS: &str = concat!(
    "
    with recursive turns (instance_id, looked, found) as (
        select $4::uuid, 0, 0
         where (select indisvalid
                  from pg_index
                 where indexrelid = to_regclass('messaging_messages_due_by_instance'))
        union all
        select following.instance_id, turns.looked + 1, turns.found + following.is_due::int
          from turns
         cross join lateral (
                   select messages.instance_id,
                          messages.instance_id <> all($3)
                              and (select true
                                     from messaging_messages as due
                                    where due.id >= :floor
                                      and due.instance_id = messages.instance_id
                                      and due.next_attempt_at is not null
                                      and due.next_attempt_at at time zone 'UTC' <= $1 at time zone 'UTC'
                                      and due.status in ('pending', 'queued', 'processing')
                                    order by due.instance_id, due.next_attempt_at at time zone 'UTC', due.id
                                    limit 1) is true as is_due
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.instance_id > turns.instance_id
                      and messages.next_attempt_at is not null
                    order by messages.instance_id
                    limit 1) as following
         where turns.looked < $5
           and turns.found < $6
    ),
    last_one (instance_id, is_end) as (
        select instance_id, looked < $5 and found < $6
          from turns
         order by looked desc
         limit 1
    ),
    found (id, since, place) as (
        select of_one.id, of_one.since, row_number() over (partition by turns.instance_id order by of_one.since, of_one.id)
          from turns
         cross join lateral (
                   select messages.id, messages.next_attempt_at as since
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.instance_id = turns.instance_id
                      and messages.next_attempt_at is not null
                      and messages.next_attempt_at at time zone 'UTC' <= $1 at time zone 'UTC'
                      and messages.status in ('pending', 'queued', 'processing')
                      and messages.id <> all($2)
                    order by messages.instance_id, messages.next_attempt_at at time zone 'UTC', messages.id
                    limit $7
                      for update skip locked) as of_one
         where turns.looked > 0
           and turns.instance_id <> all($3)
    ),
    due (id, since, place) as (
        select id, since, place
          from found
         order by place, since, id
         limit $6
    ),",
    fitting!("due", "found.place, found.since, found.id", "messages.id >= :floor and ", "$8"),
    ",
    taken as (",
    take_fitting!("$1", "$9"),
    message_columns_with_content_if!("$8"),
    "
    )
    select last_one.instance_id as turn_of, last_one.is_end, due.place, taken.*
      from last_one
      left join (taken join due using (id))
        on true
     order by due.place, due.since, due.id"
);

/// Those of older weeks have their turns when they are looked at.
pub async fn take_in_turns(database: &PgDatabase, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
    let query = sqlx::query(AssertSqlSafe(database.floor.name_in(TAKE_IN_TURNS)))
        .bind(turns.now)
        .bind(turns.held.iter().map(|held| held.0).collect::<Vec<Uuid>>())
        .bind(turns.full.iter().map(|instance| instance.0).collect::<Vec<Uuid>>())
        .bind(turns.after.map_or(Uuid::nil(), |after| after.0))
        .bind(i64::from(TURNS_AT_ONCE))
        .bind(i64::from(turns.limit))
        .bind(i64::from(IN_A_TURN))
        .bind(turns.with_content)
        .bind(turns.node.0);
    let mut rows = database.relay.run(async |connection| query.fetch_all(connection).await).await?;
    let Some(last) = rows.first() else { return Ok(TurnsTaken { messages: Vec::new(), next: None }) };
    let (turn_of, is_end): (Uuid, bool) = (get(last, "turn_of")?, get(last, "is_end")?);
    // The one that says how far it was looked, when nothing is due.
    rows.retain(|row| get::<Option<i64>>(row, "place").is_ok_and(|place| place.is_some()));
    Ok(TurnsTaken { messages: messages(&rows), next: (!is_end).then_some(InstanceId(turn_of)) })
}
