use async_trait::async_trait;
use correio::application::ports::{BreakerRow, Breakers, Opening, ProbeAsked, ProbeEnded, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::instance::breaker::{BreakerOf, BreakerState, Course, ProbeEnd};
use correio::domain::message::Message;

use super::database::MemoryDatabase;
use super::tables::{Bug, Tables};

/// By the clock of the database, if it has one.
#[derive(Clone)]
pub struct MemoryBreakers {
    database: MemoryDatabase,
}

impl MemoryBreakers {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Breakers for MemoryBreakers {
    async fn open(&self, opening: &Opening) -> Result<bool, RepositoryError> {
        let (opening, database) = (opening.clone(), self.database.clone());
        let open = move |tables: &mut Tables| {
            let Opening { of, tenant, reason, pause, now } = opening;
            let now = database.now().unwrap_or(now);
            let opened = match tables.breakers.get_mut(&of) {
                Some((_, course)) => course.open(reason, pause, now),
                None => {
                    tables.breakers.insert(of.clone(), (tenant, Course::opened(reason, pause, now)));
                    true
                }
            };
            if opened {
                tables.breaker_changes.push((of, BreakerState::Open, now));
            }
            Ok(opened)
        };
        self.database.run("breakers.open", open).await
    }

    async fn probe(&self, asked: &ProbeAsked) -> Result<Option<u32>, RepositoryError> {
        let (asked, database) = (asked.clone(), self.database.clone());
        let probe = move |tables: &mut Tables| {
            let now = database.now().unwrap_or(asked.now);
            let (gives_to_all, waits_for_ever) = (tables.has(Bug::ProbesForEverybody), tables.has(Bug::LeasesNeverEnd));
            let Some((_, course)) = tables.breakers.get_mut(&asked.of) else { return Ok(None) };
            if gives_to_all {
                course.probe = None;
            }
            if waits_for_ever && course.probe.is_some() {
                return Ok(None);
            }
            Ok(course.probe(asked.probe, asked.lease, now))
        };
        self.database.run("breakers.probe", probe).await
    }

    async fn end(&self, ended: &ProbeEnded) -> Result<bool, RepositoryError> {
        let (ended, database) = (ended.clone(), self.database.clone());
        let end = move |tables: &mut Tables| {
            let ProbeEnded { of, probe, end, now } = ended;
            let (now, works) = (database.now().unwrap_or(now), end == ProbeEnd::Works);
            let changed = tables.breakers.get_mut(&of).is_some_and(|(_, course)| course.end(probe, end, now));
            if changed && works {
                tables.breaker_changes.push((of, BreakerState::Closed, now));
            }
            Ok(changed)
        };
        self.database.run("breakers.end", end).await
    }

    async fn close(&self, of: &BreakerOf, now: Timestamp) -> Result<bool, RepositoryError> {
        let (of, database) = (of.clone(), self.database.clone());
        let close = move |tables: &mut Tables| {
            let now = database.now().unwrap_or(now);
            let closed = tables.breakers.get_mut(&of).is_some_and(|(_, course)| course.close(now));
            if closed {
                tables.breaker_changes.push((of, BreakerState::Closed, now));
            }
            Ok(closed)
        };
        self.database.run("breakers.close", close).await
    }

    async fn all(&self, now: Timestamp) -> Result<Vec<BreakerRow>, RepositoryError> {
        let database = self.database.clone();
        let all = move |tables: &mut Tables| {
            let now = database.now().unwrap_or(now);
            let row = |(of, (tenant, course)): (&BreakerOf, &(Tenant, Course))| {
                BreakerRow::of(of.clone(), tenant.clone(), course.clone(), now)
            };
            Ok(tables.breakers.iter().map(row).collect())
        };
        self.database.run("breakers.all", all).await
    }

    async fn tell(&self, of: &BreakerOf, change: i64, messages: &[Message]) -> Result<bool, RepositoryError> {
        let (of, messages) = (of.clone(), messages.to_vec());
        let tell = move |tables: &mut Tables| {
            let Some((_, course)) = tables.breakers.get_mut(&of) else { return Ok(false) };
            if course.changes != change || course.told >= change {
                return Ok(false);
            }
            course.told = change;
            if course.is_over() {
                tables.breakers.remove(&of);
            }
            for message in messages {
                tables.insert(message, "breakers.tell");
            }
            Ok(true)
        };
        self.database.run("breakers.tell", tell).await
    }
}
