//! Looking through what is open, of whatever instance: there is no index by instance, and none is worth its upkeep.

use sqlx::sqlite::SqliteRow;

use crate::application::ports::{OpenMessages, Position, RepositoryError};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id, id_list};

/// Those that wait for no time, in the order of their index. A row that names no node is in none of these ranges.
const UNTIMED: &str = "
    with looked as materialized (
        select id, instance_id, node_id, status
          from messaging_messages indexed by messaging_messages_owned
         where next_attempt_at is null
           and status in ('pending', 'queued', 'processing')
           and (node_id, status, id) > (?3, ?4, ?5)
         order by node_id, status, id
         limit ?2
    ),
    last (id) as (
        select id
          from looked
         where (select count(*) from looked) = ?2
         order by node_id desc, status desc, id desc
         limit 1
    )
    select id,
           instance_id,
           instance_id in (select value from json_each(?1)) as is_found,
           id = (select id from last) as is_last,
           node_id as first,
           status as second
      from looked
     where is_found
        or is_last";

/// Those that wait for a time, likewise.
const TIMED: &str = "
    with looked as materialized (
        select id, instance_id, next_attempt_at
          from messaging_messages indexed by messaging_messages_due
         where next_attempt_at is not null
           and status in ('pending', 'queued', 'processing')
           and (next_attempt_at, id) > (?3, ?4)
         order by next_attempt_at, id
         limit ?2
    ),
    last (id) as (
        select id
          from looked
         where (select count(*) from looked) = ?2
         order by next_attempt_at desc, id desc
         limit 1
    )
    select id,
           instance_id,
           instance_id in (select value from json_each(?1)) as is_found,
           id = (select id from last) as is_last,
           next_attempt_at as first,
           null as second
      from looked
     where is_found
        or is_last";

pub async fn open_messages(
    database: &SqliteDatabase,
    instances: &[InstanceId],
    Position(after): &Position,
    reach: u32,
) -> Result<OpenMessages, RepositoryError> {
    // Every text is above the empty one.
    let beginning = [(); 3].map(|()| String::new());
    let (statement, after) = match after.len() {
        0 => (UNTIMED, &beginning[..]),
        2 => (TIMED, &after[..]),
        _ => (UNTIMED, &after[..]),
    };
    let mut query = sqlx::query(statement).bind(id_list(instances.iter().map(|instance| instance.0))).bind(reach);
    for part in after {
        query = query.bind(part);
    }
    let rows = query.fetch_all(database.readers()).await.map_err(translate)?;
    let timed_from_the_beginning = || Position(vec![String::new(); 2]);
    let mut looked = OpenMessages { found: Vec::new(), next: (after.len() == 3).then(timed_from_the_beginning) };
    for row in &rows {
        if get::<bool>(row, "is_found")? {
            looked.found.push((InstanceId(id(row, "instance_id")?), MessageId(id(row, "id")?)));
        }
        if get::<Option<bool>>(row, "is_last")? == Some(true) {
            looked.next = Some(place(row)?);
        }
    }
    Ok(looked)
}

fn place(row: &SqliteRow) -> Result<Position, RepositoryError> {
    let (first, second): (String, Option<String>) = (get(row, "first")?, get(row, "second")?);
    Ok(Position([Some(first), second, Some(get(row, "id")?)].into_iter().flatten().collect()))
}
