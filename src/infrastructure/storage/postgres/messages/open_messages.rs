//! Looking through what is open, of whatever instance: there is no index by instance, and none is worth its upkeep.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;

use crate::application::ports::{OpenMessages, Position, RepositoryError};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_look;
use crate::infrastructure::storage::postgres::row::get;

/// Those that wait for no time, in the order of their index. A row that names no node is in none of these ranges.
pub const UNTIMED: &str = "
    with looked as materialized (
        select id, instance_id, node_id, status
          from messaging_messages
         where id >= :floor
           and next_attempt_at is null
           and status in ('pending', 'queued', 'processing')
           and (node_id, status, id) > ($3::text::uuid, $4::text, $5::text::uuid)
         order by node_id, status, id
         limit $2
    ),
    last (id) as (
        select id
          from looked
         where (select count(*) from looked) = $2
         order by node_id desc, status desc, id desc
         limit 1
    )
    select id,
           instance_id,
           instance_id = any($1) as is_found,
           case when id = (select id from last) then array[node_id::text, status, id::text] end as place
      from looked
     where instance_id = any($1)
        or id = (select id from last)";

/// Those that wait for a time, likewise. As texts, which hold every time that PostgreSQL knows.
pub const TIMED: &str = "
    with looked as materialized (
        select id, instance_id, next_attempt_at
          from messaging_messages
         where id >= :floor
           and next_attempt_at is not null
           and status in ('pending', 'queued', 'processing')
           and (next_attempt_at, id) > ($3::text::timestamptz, $4::text::uuid)
         order by next_attempt_at, id
         limit $2
    ),
    last (id) as (
        select id
          from looked
         where (select count(*) from looked) = $2
         order by next_attempt_at desc, id desc
         limit 1
    )
    select id,
           instance_id,
           instance_id = any($1) as is_found,
           case when id = (select id from last) then array[next_attempt_at::text, id::text] end as place
      from looked
     where instance_id = any($1)
        or id = (select id from last)";

pub const LEAST_ID: &str = "00000000-0000-0000-0000-000000000000";

pub async fn open_messages(
    database: &PgDatabase,
    instances: &[InstanceId],
    Position(after): &Position,
    reach: u32,
) -> Result<OpenMessages, RepositoryError> {
    let beginning = [LEAST_ID, "", LEAST_ID].map(str::to_owned);
    let (statement, after) = match after.len() {
        0 => (UNTIMED, &beginning[..]),
        2 => (TIMED, &after[..]),
        _ => (UNTIMED, &after[..]),
    };
    let statement = database.floor.name_in(statement);
    let mut query = sqlx::query(AssertSqlSafe(statement))
        .bind(instances.iter().map(|instance| instance.0).collect::<Vec<_>>())
        .bind(i64::from(reach));
    for part in after {
        query = query.bind(part);
    }
    let look = async |connection: &mut sqlx::PgConnection| {
        let mut look = begin_look(connection).await?;
        let rows = query.fetch_all(&mut *look).await?;
        look.commit().await?;
        Ok(rows)
    };
    let rows = database.upkeep.run(look).await?;
    let mut looked = OpenMessages { found: Vec::new(), next: (after.len() == 3).then(timed_from_the_beginning) };
    for row in &rows {
        looked.found.extend(found(row)?);
        looked.next = get::<Option<Vec<String>>>(row, "place")?.map(Position).or(looked.next);
    }
    Ok(looked)
}

fn timed_from_the_beginning() -> Position {
    Position(["-infinity", LEAST_ID].map(str::to_owned).to_vec())
}

fn found(row: &PgRow) -> Result<Option<(InstanceId, MessageId)>, RepositoryError> {
    let message = (InstanceId(get(row, "instance_id")?), MessageId(get(row, "id")?));
    Ok(get::<bool>(row, "is_found")?.then_some(message))
}
