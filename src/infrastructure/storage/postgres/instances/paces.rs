use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::application::ports::{Paces, RepositoryError, SlotsAsked};
use crate::domain::instance::pace::{
    HORIZON, LEAD, LONGEST_EXACT, LONGEST_PACED, MARGIN, MOST_RETURNS, Pace, Reserved, SHORTENED, SLOT_LIVES, nanos,
};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::{Batch, Batcher};

/// By the clock of the server.
pub struct PgPaces {
    reservations: Batcher<Reservations>,
}

impl PgPaces {
    pub fn new(database: PgDatabase) -> Self {
        Self { reservations: Batcher::new(Reservations { database }) }
    }
}

#[async_trait]
impl Paces for PgPaces {
    async fn reserve(&self, asked: &SlotsAsked) -> Result<Reserved, RepositoryError> {
        self.reservations.submit(*asked).await
    }
}

struct Reservations {
    database: PgDatabase,
}

const MAKE: &str = "
    insert into messaging_paces (instance_id)
    select unnest($1::uuid[]) as instance_id
     order by instance_id
        on conflict do nothing";

/// As `Course::reserve` says. The time is asked for once all rows are locked: no later than that of the next to lock them.
///
/// Flushed: slots that a crash took back would be given out again, while the process that has them is about to use them.
const RESERVE: &str = "
    with locked as materialized (
         select paces.instance_id,
                paces.next_slot,
                paces.next_return,
                paces.slot_interval as former,
                asked.step,
                asked.slack,
                asked.slots,
                asked.returns
           from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                as asked (id, step, slack, slots, returns)
           join messaging_paces as paces
             on paces.instance_id = asked.id
          order by paces.instance_id
            for update of paces
     ), moment as materialized (
         select (extract(epoch from clock_timestamp()) * 1000000000)::bigint as now
           from (select count(*) from locked) as all_of_them
     ), begun as (
         select locked.*,
                moment.now,
                greatest(locked.next_slot, moment.now - locked.slack) as first,
                -- A slot that nobody wanted says that none of those that were put off is ahead.
                case when locked.next_slot < moment.now - locked.step - $9 then 0
                     else greatest(locked.next_return - moment.now, 0)
                end as before
           from locked
          cross join moment
     ), bounded as (
         select instance_id, before, former, step, slots, returns, now,
                case when first > now + $6 + step + $8 then now + $6 + step else first end as first
           from begun
     ), granted as (
         select *,
                case when first <= now + $6 then least(slots, (now + $6 - first) / step + 1) else 0 end as granted
           from bounded
     ), reserved as (
         select *,
                greatest(
                    trunc(least(
                        case
                            when former in (0, step) then before::double precision
                            else before::double precision / former * step
                        end,
                        $10::bigint))::bigint,
                    first + granted * step - now - $7,
                    0) as first_return
           from granted
     ), behind as (
         select *,
                greatest(returns * step - greatest($11 - first_return, 0), 0) as beyond
           from reserved
     )
     update messaging_paces as paces
        set next_slot = reserved.first + reserved.granted * reserved.step,
            next_return = reserved.now
                + least(reserved.first_return + reserved.returns * reserved.step - reserved.beyond + reserved.beyond / $12,
                        greatest($10, reserved.first_return)),
            slot_interval = reserved.step
       from behind as reserved
      where paces.instance_id = reserved.instance_id
     returning paces.instance_id,
               reserved.granted,
               reserved.first - reserved.now as first_slot,
               paces.next_slot - reserved.now as next_slot,
               reserved.first_return";

#[async_trait]
impl Batch for Reservations {
    type Request = SlotsAsked;
    type Answer = Reserved;

    async fn execute(&self, asked: &[SlotsAsked]) -> Result<Vec<Reserved>, RepositoryError> {
        let mut found = self.reserve(asked).await?;
        let missing: Vec<SlotsAsked> = asked.iter().filter(|it| !found.contains_key(&it.instance.0)).copied().collect();
        if !missing.is_empty() {
            let query = sqlx::query(MAKE).bind(of(&missing, |it| it.instance.0));
            self.database.run(async |connection| query.execute(connection).await).await?;
            found.extend(self.reserve(&missing).await?);
        }
        let answer = |it: &SlotsAsked| found.get(&it.instance.0).copied();
        let deleted = || RepositoryError::Unavailable("the row of a pace was deleted".to_owned());
        asked.iter().map(|it| answer(it).ok_or_else(deleted)).collect()
    }
}

impl Reservations {
    async fn reserve(&self, asked: &[SlotsAsked]) -> Result<HashMap<Uuid, Reserved>, RepositoryError> {
        let query = sqlx::query(RESERVE)
            .bind(of(asked, |it| it.instance.0))
            .bind(of(asked, |it| signed(it.pace.interval())))
            .bind(of(asked, |it| signed(Pace::slack(it.pace))))
            .bind(of(asked, |it| i64::from(it.slots)))
            .bind(of(asked, |it| i64::from(it.returns.min(MOST_RETURNS))))
            .bind(signed(nanos(HORIZON)))
            .bind(signed(nanos(LEAD)))
            .bind(signed(nanos(MARGIN)))
            .bind(signed(nanos(SLOT_LIVES)))
            .bind(signed(nanos(LONGEST_PACED)))
            .bind(signed(nanos(LONGEST_EXACT)))
            .bind(i64::from(SHORTENED));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(reserved).collect()
    }
}

fn reserved(row: &PgRow) -> Result<(Uuid, Reserved), RepositoryError> {
    let reserved = Reserved {
        slots: u32::try_from(get::<i64>(row, "granted")?).unwrap_or_default(),
        first_slot: get(row, "first_slot")?,
        next_slot: get(row, "next_slot")?,
        first_return: get(row, "first_return")?,
    };
    Ok((get(row, "instance_id")?, reserved))
}

fn of<T>(asked: &[SlotsAsked], value: impl Fn(&SlotsAsked) -> T) -> Vec<T> {
    asked.iter().map(value).collect()
}

fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
