//! Putting messages off whose instance may not be called now.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::free_rows::free;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::pace::LONGEST_PACED;
use crate::domain::message::deferral::{
    DOUBLINGS, Deferral, Deferred, MAX_DEFERRALS, OFTEN, SHORTEST_OF_LONGEST, SHORTEST_REST, longest_pause,
};
use crate::infrastructure::storage::postgres::connections::OwnConnection;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::Batch;

pub struct Deferrals {
    connection: Arc<OwnConnection>,
}

impl Deferrals {
    /// With the settings of changing probes.
    pub fn on(connection: Arc<OwnConnection>) -> Self {
        Self { connection }
    }
}

/// Not guarded on the owner: with such a guard two relays can take turns for ever.
///
/// Locked first, in order of id as they are given, so that whether a row was found and put off too often is one answer.
pub const DEFER: &str = "
    with found as materialized (
         select messages.id,
                -- A count that somebody wrote may be out of bounds.
                least(greatest(messages.deferrals, 0), 2147483646) as deferrals,
                asked.pause,
                $6 * power(2, least(greatest(messages.deferrals, 0), $7)) as longest,
                asked.not_before,
                asked.reason,
                asked.is_undeliverable,
                asked.is_paced,
                asked.now
           from unnest($1::uuid[], $2::double precision[], $3::timestamptz[], $4::text[], $5::timestamptz[],
                       $12::boolean[], $13::boolean[])
                with ordinality as asked (id, pause, not_before, reason, now, is_undeliverable, is_paced, place)
           join messaging_messages as messages
             on messages.id = asked.id
          where (messages.id between :least and :greatest or messages.id = :least)
            and messages.status = 'queued'
            -- So written that no index on the open rows seems to serve: each row is looked up by its id.
            and (messages.next_attempt_at is null) is true
          -- Not by the id: no index gives this order, so that none is walked for it.
          order by asked.place
            for update of messages
     ), deferred as (
         update messaging_messages as messages
            set status = 'queued',
                next_attempt_at = greatest(
                    found.now + make_interval(secs => case
                        when found.is_paced and found.pause is not null
                        then least(found.pause, $14)
                        else greatest(
                        case
                            when found.pause is null then found.longest
                            when found.pause <= found.longest then found.pause
                            else greatest(found.pause - found.longest * floor(found.pause / found.longest), $9)
                        end,
                        case when found.deferrals < $10 then 0 else found.longest / $11 end)
                    end),
                    found.not_before),
                deferrals = found.deferrals + 1,
                deferred_since = case
                    when found.is_undeliverable then coalesce(messages.deferred_since, found.now)
                    else messages.deferred_since
                end,
                error = found.reason,
                updated_at = found.now
           from found
          where messages.id = found.id
            and (messages.id between :least and :greatest or messages.id = :least)
            and found.deferrals < $8
         returning messages.id, messages.next_attempt_at
     )
     select found.id,
            deferred.next_attempt_at
       from found
       left join deferred
         on deferred.id = found.id";

#[async_trait]
impl Batch for Deferrals {
    type Request = Deferral;
    type Answer = Deferred;

    async fn execute(&self, deferrals: &[Deferral]) -> Result<Vec<Deferred>, RepositoryError> {
        fn of<'a, T>(deferrals: &[&'a Deferral], value: impl Fn(&'a Deferral) -> T) -> Vec<T> {
            deferrals.iter().map(|deferral| value(deferral)).collect()
        }
        let defer = NamedWeeks::of(deferrals.iter().map(|deferral| deferral.id)).name_in(DEFER);
        let mut in_order: Vec<&Deferral> = deferrals.iter().collect();
        in_order.sort_unstable_by_key(|deferral| deferral.id);
        let query = sqlx::query(AssertSqlSafe(defer))
            .bind(of(&in_order, |it| it.id.0))
            .bind(of(&in_order, |it| it.pause.map(|pause| pause.as_secs_f64())))
            .bind(of(&in_order, |it| it.not_before))
            .bind(of(&in_order, |it| it.reason.as_str()))
            .bind(of(&in_order, |it| it.now))
            .bind(longest_pause(0).as_secs_f64())
            .bind(i64::from(DOUBLINGS))
            .bind(i64::from(MAX_DEFERRALS))
            .bind(SHORTEST_REST.as_secs_f64())
            .bind(i64::from(OFTEN))
            .bind(f64::from(SHORTEST_OF_LONGEST))
            .bind(of(&in_order, |it| it.is_undeliverable))
            .bind(of(&in_order, |it| it.is_paced))
            .bind(LONGEST_PACED.as_secs_f64());
        let rows = self.connection.run(async |connection| query.fetch_all(connection).await).await?;
        let found: HashMap<Uuid, Option<Timestamp>> = rows.iter().map(found).collect::<Result<_, _>>()?;
        let answer = |deferral: &Deferral| match found.get(&deferral.id.0) {
            None => Deferred::Nothing,
            Some(None) => Deferred::TooOften,
            Some(Some(until)) => Deferred::Until(*until),
        };
        Ok(deferrals.iter().map(answer).collect())
    }

    async fn free(&self, deferrals: &[Deferral]) -> Result<Vec<bool>, RepositoryError> {
        free(&self.connection, deferrals.iter().map(|deferral| deferral.id)).await
    }
}

fn found(row: &PgRow) -> Result<(Uuid, Option<Timestamp>), RepositoryError> {
    Ok((get(row, "id")?, get(row, "next_attempt_at")?))
}
