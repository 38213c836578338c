//! How the weeks stand, for `/health` and the log.

use super::partition::{PARTITIONED, Partition, WEEKS};
use crate::application::ports::{RepositoryError, WeeksStanding};
use crate::domain::Timestamp;
use crate::infrastructure::storage::postgres::PgDatabase;

/// Found by name, and counted up to a limit: it costs the same however many weeks there are.
pub async fn standing(database: &PgDatabase, now: Timestamp) -> Result<WeeksStanding, RepositoryError> {
    let names = |week| PARTITIONED.into_iter().filter_map(move |table| Partition::of(table, now, week));
    let ahead: Vec<String> = (1..WEEKS).flat_map(names).map(|partition| partition.name).collect();
    let are_there = sqlx::query_scalar(
        "select array(
             select exists (select from pg_inherits where inhrelid = to_regclass(name))
               from unnest($1::text[]) with ordinality as names (name, place)
              order by place)",
    )
    .bind(ahead);
    let strays = sqlx::query_scalar(
        "select (select count(*)
                   from (select from messaging_messages_default order by id limit $1) as messages)
              + (select count(*)
                   from (select from messaging_message_attempts_default order by message_id limit $1) as attempts)",
    )
    .bind(i64::from(WeeksStanding::COUNTED));
    let (are_there, strays): (Vec<bool>, i64) = database
        .run(async |connection| Ok((are_there.fetch_one(&mut *connection).await?, strays.fetch_one(connection).await?)))
        .await?;
    let complete = are_there.chunks(PARTITIONED.len()).take_while(|week| week.iter().all(|is_there| *is_there)).count();
    Ok(WeeksStanding {
        ahead: u32::try_from(complete).unwrap_or(u32::MAX),
        strays: u32::try_from(strays).unwrap_or(u32::MAX).min(WeeksStanding::COUNTED),
    })
}
