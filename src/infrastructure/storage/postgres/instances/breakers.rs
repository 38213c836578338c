use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};

use crate::application::ports::{BreakerRow, Breakers, Opening, ProbeAsked, ProbeEnded, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::breaker::{BreakerOf, BreakerState, ProbeEnd};
use crate::domain::message::Message;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::insert_messages;
use crate::infrastructure::storage::postgres::row::{get, only, parsed, tenant, time, time_option};
use crate::infrastructure::storage::shared::rows::{breaker_of, readable};

/// By the clock of the server. What is written is `Course` in the domain.
#[derive(Clone)]
pub struct PgBreakers {
    database: PgDatabase,
}

impl PgBreakers {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const OPEN: &str = "
    insert into messaging_breakers as breakers
           (target, tenant, instance_id, host, state, since, reason, probe_at)
    values ($1, $2, $3, $4, 'open', clock_timestamp(), $5, clock_timestamp() + $6::bigint * interval '1 microsecond')
        on conflict (target) do update
       set state = 'open',
           since = excluded.since,
           reason = excluded.reason,
           failed_probes = 0,
           probe_at = excluded.probe_at,
           probe = null,
           probe_until = null,
           disabled_at = null,
           changes = breakers.changes + 1
     where breakers.state = 'closed'
    returning target";

/// The row is locked when the conditions are looked at: of all that ask at the same time one gets it.
const PROBE: &str = "
    update messaging_breakers
       set state = 'half-open',
           probe = $2,
           probe_until = clock_timestamp() + $3::bigint * interval '1 microsecond'
     where target = $1
       and state <> 'closed'
       and disabled_at is null
       and probe_at <= clock_timestamp()
       and (probe_until is null or probe_until <= clock_timestamp())
    returning failed_probes";

const WORKS: &str = "
    update messaging_breakers
       set state = 'closed',
           since = clock_timestamp(),
           reason = null,
           probe = null,
           probe_until = null,
           disabled_at = null,
           changes = changes + 1
     where target = $1
       and probe = $2
       and state <> 'closed'
    returning target";

const FAILS: &str = "
    update messaging_breakers
       set state = 'open',
           failed_probes = failed_probes + 1,
           reason = $3,
           probe_at = clock_timestamp() + $4::bigint * interval '1 microsecond',
           probe = null,
           probe_until = null,
           disabled_at = case
                             when disabled_at is null and since + $5::bigint * interval '1 microsecond' <= clock_timestamp()
                             then clock_timestamp()
                             else disabled_at
                         end,
           changes = changes + case
                                   when disabled_at is null and since + $5::bigint * interval '1 microsecond' <= clock_timestamp()
                                   then 1
                                   else 0
                               end
     where target = $1
       and probe = $2
    returning target";

const NOTHING: &str = "
    update messaging_breakers
       set state = 'open',
           probe_at = clock_timestamp() + $3::bigint * interval '1 microsecond',
           probe = null,
           probe_until = null
     where target = $1
       and probe = $2
    returning target";

const CLOSE: &str = "
    update messaging_breakers
       set state = 'closed',
           since = clock_timestamp(),
           reason = null,
           probe = null,
           probe_until = null,
           disabled_at = null,
           changes = changes + 1
     where target = $1
       and state <> 'closed'
    returning target";

const ALL: &str = "
    select tenant, instance_id, host, since, reason, disabled_at, changes, told,
           case when state = 'half-open' and (probe_until is null or probe_until <= now) then 'open' else state end as state,
           (extract(epoch from probe_at - now) * 1000000)::bigint as probe_in,
           (extract(epoch from probe_until - now) * 1000000)::bigint as probing
      from messaging_breakers
     cross join (select clock_timestamp() as now) as moment
     order by target";

const TELL: &str = "
    update messaging_breakers
       set told = changes
     where target = $1
       and changes = $2
       and told < changes
    returning state";

#[async_trait]
impl Breakers for PgBreakers {
    async fn open(&self, opening: &Opening) -> Result<bool, RepositoryError> {
        let host = if let BreakerOf::Host(_, host) = &opening.of { Some(host) } else { None };
        let query = sqlx::query(OPEN)
            .bind(opening.of.to_string())
            .bind(opening.tenant.as_str())
            .bind(opening.of.instance().map(|instance| instance.0))
            .bind(host)
            .bind(&opening.reason)
            .bind(micros(opening.pause));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(!rows.is_empty())
    }

    async fn probe(&self, asked: &ProbeAsked) -> Result<Option<u32>, RepositoryError> {
        let query = sqlx::query(PROBE).bind(asked.of.to_string()).bind(asked.probe).bind(micros(asked.lease));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        let failed = only(rows).map(|row| get::<i32>(&row, "failed_probes")).transpose()?;
        Ok(failed.map(|failed| u32::try_from(failed).unwrap_or_default()))
    }

    async fn end(&self, ended: &ProbeEnded) -> Result<bool, RepositoryError> {
        let statement = match &ended.end {
            ProbeEnd::Works => WORKS,
            ProbeEnd::Fails { .. } => FAILS,
            ProbeEnd::Nothing { .. } => NOTHING,
        };
        let query = sqlx::query(statement).bind(ended.of.to_string()).bind(ended.probe);
        let query = match &ended.end {
            ProbeEnd::Works => query,
            ProbeEnd::Fails { reason, pause, disable_after } => {
                query.bind(reason).bind(micros(*pause)).bind(disable_after.map(micros))
            }
            ProbeEnd::Nothing { pause } => query.bind(micros(*pause)),
        };
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(!rows.is_empty())
    }

    async fn close(&self, of: &BreakerOf, _: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(CLOSE).bind(of.to_string());
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(!rows.is_empty())
    }

    async fn all(&self, _: Timestamp) -> Result<Vec<BreakerRow>, RepositoryError> {
        let rows = self.database.run(async |connection| sqlx::query(ALL).fetch_all(connection).await).await?;
        Ok(readable(&rows, breaker))
    }

    async fn tell(&self, of: &BreakerOf, change: i64, messages: &[Message]) -> Result<bool, RepositoryError> {
        let target = of.to_string();
        let tell = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let query = sqlx::query_scalar::<_, String>(TELL).bind(&target).bind(change);
            let Some(state) = query.fetch_all(&mut *transaction).await?.pop() else {
                transaction.rollback().await?;
                return Ok(false);
            };
            if state == BreakerState::Closed.as_str() {
                let forget = sqlx::query("delete from messaging_breakers where target = $1").bind(&target);
                forget.execute(&mut *transaction).await?;
            }
            insert_messages(&mut transaction, messages.to_vec()).await?;
            transaction.commit().await?;
            Ok(true)
        };
        self.database.run(tell).await
    }
}

fn breaker(row: &PgRow) -> Result<BreakerRow, RepositoryError> {
    let probe_in: i64 = get(row, "probe_in")?;
    let probing: Option<i64> = get(row, "probing")?;
    Ok(BreakerRow {
        of: breaker_of(row)?,
        tenant: tenant(row)?,
        state: parsed(row, "state", |text| text.parse().ok())?,
        since: time(row, "since")?,
        reason: get(row, "reason")?,
        disabled_at: time_option(row, "disabled_at")?,
        probe_in: Duration::from_micros(probe_in.max(0).unsigned_abs()),
        idle: Duration::from_micros(probe_in.min(0).unsigned_abs()),
        probing: probing.filter(|rest| *rest > 0).map(|rest| Duration::from_micros(rest.unsigned_abs())),
        changes: get(row, "changes")?,
        told: get(row, "told")?,
    })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
