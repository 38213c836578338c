use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::application::ports::{BreakerRow, Breakers, Opening, ProbeAsked, ProbeEnded, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::breaker::{BreakerOf, Course, Probe};
use crate::domain::message::Message;
use crate::infrastructure::storage::shared::rows::{breaker_of, readable};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::insert_all;
use crate::infrastructure::storage::sqlite::row::{
    get, parsed, tenant, time, time_option, time_text, time_text_option,
};

/// By the clock of the one process.
#[derive(Clone)]
pub struct SqliteBreakers {
    database: SqliteDatabase,
}

impl SqliteBreakers {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }

    /// Changes one that is there, in one transaction.
    async fn change<T: Send>(
        &self,
        of: &BreakerOf,
        change: impl FnOnce(&mut Course) -> Option<T> + Send,
    ) -> Result<Option<T>, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let Some((tenant, mut course)) = find(&mut transaction, of).await? else { return Ok(None) };
        let changed = change(&mut course);
        if changed.is_some() {
            keep(&mut transaction, of, &tenant, &course).await?;
            transaction.commit().await.map_err(translate)?;
        }
        Ok(changed)
    }
}

macro_rules! select_breakers {
    ($rest:literal) => {
        concat!(
            "select target, tenant, instance_id, host, state, since, reason, failed_probes, probe_at, probe, probe_until, disabled_at,
                    changes, told
               from messaging_breakers ",
            $rest
        )
    };
}

const KEEP: &str = "
    insert or replace into messaging_breakers
           (target, tenant, instance_id, host, state, since, reason, failed_probes, probe_at, probe, probe_until, disabled_at,
            changes, told)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

#[async_trait]
impl Breakers for SqliteBreakers {
    async fn open(&self, opening: &Opening) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let Opening { of, tenant, reason, pause, now } = opening;
        let mut transaction = self.database.begin().await?;
        let course = match find(&mut transaction, of).await? {
            None => Course::opened(reason.clone(), *pause, *now),
            Some((_, mut course)) => {
                if !course.open(reason.clone(), *pause, *now) {
                    return Ok(false);
                }
                course
            }
        };
        keep(&mut transaction, of, tenant, &course).await?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }

    async fn probe(&self, asked: &ProbeAsked) -> Result<Option<u32>, RepositoryError> {
        self.change(&asked.of, |course| course.probe(asked.probe, asked.lease, asked.now)).await
    }

    async fn end(&self, ended: &ProbeEnded) -> Result<bool, RepositoryError> {
        let end = |course: &mut Course| course.end(ended.probe, ended.end.clone(), ended.now).then_some(());
        Ok(self.change(&ended.of, end).await?.is_some())
    }

    async fn close(&self, of: &BreakerOf, now: Timestamp) -> Result<bool, RepositoryError> {
        Ok(self.change(of, |course| course.close(now).then_some(())).await?.is_some())
    }

    async fn all(&self, now: Timestamp) -> Result<Vec<BreakerRow>, RepositoryError> {
        let query = sqlx::query(select_breakers!("order by target"));
        let rows = query.fetch_all(self.database.readers()).await.map_err(translate)?;
        let read = |row: &SqliteRow| Ok(BreakerRow::of(breaker_of(row)?, tenant(row)?, course(row)?, now));
        Ok(readable(&rows, read))
    }

    async fn tell(&self, of: &BreakerOf, change: i64, messages: &[Message]) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let Some((tenant, mut course)) = find(&mut transaction, of).await? else { return Ok(false) };
        if course.changes != change || course.told >= change {
            return Ok(false);
        }
        course.told = change;
        if course.is_over() {
            let forget = sqlx::query("delete from messaging_breakers where target = ?1").bind(of.to_string());
            forget.execute(&mut *transaction).await.map_err(translate)?;
        } else {
            keep(&mut transaction, of, &tenant, &course).await?;
        }
        insert_all(&mut transaction, &messages.iter().collect::<Vec<_>>()).await.map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }
}

async fn find(connection: &mut SqliteConnection, of: &BreakerOf) -> Result<Option<(Tenant, Course)>, RepositoryError> {
    let query = sqlx::query(select_breakers!("where target = ?1")).bind(of.to_string());
    let row = query.fetch_optional(connection).await.map_err(translate)?;
    row.map(|row| Ok((tenant(&row)?, course(&row)?))).transpose()
}

fn course(row: &SqliteRow) -> Result<Course, RepositoryError> {
    let name = get::<Option<String>>(row, "probe")?.and_then(|text| text.parse::<Uuid>().ok());
    let until = time_option(row, "probe_until")?;
    Ok(Course {
        state: parsed(row, "state", |text| text.parse().ok())?,
        since: time(row, "since")?,
        reason: get(row, "reason")?,
        failed_probes: get(row, "failed_probes")?,
        probe_at: time(row, "probe_at")?,
        probe: name.zip(until).map(|(name, until)| Probe { name, until }),
        disabled_at: time_option(row, "disabled_at")?,
        changes: get(row, "changes")?,
        told: get(row, "told")?,
    })
}

async fn keep(
    connection: &mut SqliteConnection,
    of: &BreakerOf,
    tenant: &Tenant,
    course: &Course,
) -> Result<(), RepositoryError> {
    let host = if let BreakerOf::Host(_, host) = of { Some(host) } else { None };
    sqlx::query(KEEP)
        .bind(of.to_string())
        .bind(tenant.as_str())
        .bind(of.instance().map(|instance| instance.0.hyphenated()))
        .bind(host)
        .bind(course.state.as_str())
        .bind(time_text(course.since))
        .bind(&course.reason)
        .bind(course.failed_probes)
        .bind(time_text(course.probe_at))
        .bind(course.probe.map(|probe| probe.name.hyphenated()))
        .bind(time_text_option(course.probe.map(|probe| probe.until)))
        .bind(time_text_option(course.disabled_at))
        .bind(course.changes)
        .bind(course.told)
        .execute(connection)
        .await
        .map_err(translate)?;
    Ok(())
}
