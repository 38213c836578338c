use async_trait::async_trait;
use correio::application::ports::{Paces, RepositoryError, SlotsAsked};
use correio::domain::instance::pace::Reserved;

use super::database::MemoryDatabase;
use super::tables::{Bug, Tables};

#[derive(Clone)]
pub struct MemoryPaces {
    database: MemoryDatabase,
}

impl MemoryPaces {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Paces for MemoryPaces {
    async fn reserve(&self, asked: &SlotsAsked) -> Result<Reserved, RepositoryError> {
        let (asked, database) = (*asked, self.database.clone());
        let reserve = move |tables: &mut Tables| {
            // When it is carried out, not when it was sent.
            let now = database.now().unwrap_or(asked.now).timestamp_nanos_opt().unwrap();
            let gives_twice = tables.has(Bug::ReservesSlotsTwice);
            let course = tables.paces.entry(asked.instance).or_default();
            let before = *course;
            let reserved = course.reserve(asked.pace, asked.slots, asked.returns, now);
            if gives_twice {
                course.next_slot = before.next_slot;
            }
            Ok(reserved)
        };
        self.database.run("paces.reserve", reserve).await
    }
}
