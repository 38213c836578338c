use std::borrow::Cow;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use super::server::Server;
use crate::application::ports::RepositoryError;

/// For statements that look up each row by its id, whatever the planner estimates: planned once, while the table is
/// empty, they would read all of it for ever after.
macro_rules! probes {
    () => {
        "set plan_cache_mode = force_generic_plan;
         set enable_seqscan = off;
         set enable_bitmapscan = off;
         set enable_hashjoin = off;
         set enable_mergejoin = off"
    };
}

pub(in crate::infrastructure::storage::postgres) const PROBES: &str = probes!();

/// For probes that change rows together: a row that another transaction holds (an operator's open one, for example)
/// must not keep the others waiting for long. To read a row seems so dear that walking over those of a small table never
/// seems cheaper than looking up ten.
pub(in crate::infrastructure::storage::postgres) const CHANGING_PROBES: &str =
    concat!(probes!(), "; set cpu_tuple_cost = 1000; set cpu_index_tuple_cost = 1000; set lock_timeout = '200ms'");

/// For the looks of the relay. Each names the order of the index that it is to walk; without sorts no other index gives it.
/// A week that an operator works on keeps none of them waiting for long.
pub(in crate::infrastructure::storage::postgres) const LOOKS: &str =
    concat!(probes!(), "; set enable_sort = off; set lock_timeout = '1s'");

/// A transaction whose statements are planned like looks, on a connection that is there for other things, too.
pub(in crate::infrastructure::storage::postgres) async fn begin_look(
    connection: &mut PgConnection,
) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(LOOKS.replace("set ", "set local "))).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// The same for probes that change rows together.
pub(in crate::infrastructure::storage::postgres) async fn begin_changing_probes(
    connection: &mut PgConnection,
) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(CHANGING_PROBES.replace("set ", "set local "))).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// A connection outside the pool, for work that never waits for other work's connections. Opened when it is needed, and
/// opened again after it has failed.
pub(in crate::infrastructure::storage::postgres) struct OwnConnection {
    server: Server,
    /// What is set on it, besides what is set on every connection.
    settings: Cow<'static, str>,
    /// How long a caller whose turn has come waits, opening a connection included.
    patience: Duration,
    plans_kept: Duration,
    place: Mutex<Option<Idle>>,
}

struct Idle {
    connection: PgConnection,
    opened: Instant,
    since: Instant,
    planned_at: Instant,
}

/// How long such a connection keeps the plans of its statements. They are kept because planning one costs more
/// than executing it; not for long, because a plan made for a partition that was empty (the next week's, or
/// a new installation's) may read all of an index later on.
const PLANS_KEPT: Duration = Duration::from_secs(5);

/// The plans of looks are kept for longer: they come twice a second for years, and their text leaves the planner little
/// choice. Where autovacuum works, a partition that has grown is planned for anew when it was analyzed.
const LOOKS_KEPT: Duration = Duration::from_secs(10 * 60);

/// Those of searches: a week that was empty, and has grown, has been analyzed after so long.
const SEARCHES_KEPT: Duration = Duration::from_secs(60);

/// More than all of its steps may take.
const LONGEST: Duration = Duration::from_secs(60);

impl OwnConnection {
    pub(in crate::infrastructure::storage::postgres) fn new(server: impl Into<Server>, settings: &'static str) -> Self {
        let server = server.into();
        server.expect_one_apart();
        Self { server, settings: settings.into(), patience: LONGEST, plans_kept: PLANS_KEPT, place: Mutex::default() }
    }

    /// One of those for searches, which are counted where they are limited.
    pub(super) fn for_searches(server: Server, settings: String) -> Self {
        Self {
            server,
            settings: settings.into(),
            patience: LONGEST,
            plans_kept: SEARCHES_KEPT,
            place: Mutex::default(),
        }
    }

    /// One for looks.
    pub(super) fn for_looks(server: impl Into<Server>) -> Self {
        Self { plans_kept: LOOKS_KEPT, ..Self::new(server, LOOKS) }
    }

    /// One whose callers wait no longer than this.
    pub(super) fn within(server: impl Into<Server>, patience: Duration) -> Self {
        Self { patience, ..Self::new(server, "") }
    }

    /// Runs `work`, one call after the other, within the time that a caller can wait.
    pub(in crate::infrastructure::storage::postgres) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        self.run_in(self.place.lock().await, work).await
    }

    /// The same, unless it works for another caller: then there is no need to ask whether it can be had.
    pub(in crate::infrastructure::storage::postgres) async fn run_unless_busy<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Option<Result<T, RepositoryError>> {
        let place = self.place.try_lock().ok()?;
        Some(self.run_in(place, work).await)
    }

    async fn run_in<T>(
        &self,
        mut place: MutexGuard<'_, Option<Idle>>,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        // Taken out while it works: if this future is dropped, the next caller does not find it.
        let idle = place.take();
        let works = async {
            let Idle { mut connection, opened, planned_at, .. } = self.connection(idle).await?;
            let done = self.server.answered(work(&mut connection)).await;
            if !matches!(done, Err(RepositoryError::Unavailable(_))) {
                *place = Some(Idle { connection, opened, since: Instant::now(), planned_at });
            }
            done
        };
        timeout(self.patience, works).await.unwrap_or_else(|_| Err(self.server.no_answer()))
    }

    async fn connection(&self, idle: Option<Idle>) -> Result<Idle, RepositoryError> {
        if let Some(mut idle) = idle
            && !self.server.trust.has_renounced(idle.opened)
            && (self.server.trust.covers(idle.since) || self.server.trust.is_confirmed_by(&mut idle.connection).await)
        {
            if idle.planned_at.elapsed() >= self.plans_kept {
                self.server.answered(sqlx::raw_sql("discard plans").execute(&mut idle.connection)).await?;
                idle.planned_at = Instant::now();
            }
            return Ok(idle);
        }
        // Before it is there: what a server turns into while it is being opened counts, too.
        let opened = Instant::now();
        let mut connection = self.server.connect_apart().await?;
        self.server.answered(sqlx::raw_sql(AssertSqlSafe(self.settings.clone())).execute(&mut connection)).await?;
        let now = Instant::now();
        Ok(Idle { connection, opened, since: now, planned_at: now })
    }
}
