use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::application::ports::{Paces, RepositoryError, SlotsAsked};
use crate::domain::instance::pace::{Course, Reserved};
use crate::infrastructure::storage::shared::{Batch, Batcher};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::get;

/// By the clock of the one process.
pub struct SqlitePaces {
    reservations: Batcher<Reservations>,
}

impl SqlitePaces {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { reservations: Batcher::new(Reservations { database }) }
    }
}

#[async_trait]
impl Paces for SqlitePaces {
    async fn reserve(&self, asked: &SlotsAsked) -> Result<Reserved, RepositoryError> {
        self.reservations.submit(*asked).await
    }
}

struct Reservations {
    database: SqliteDatabase,
}

const FIND: &str = "
    select next_slot, next_return, slot_interval
      from messaging_paces
     where instance_id = ?1";

const KEEP: &str = "
    insert into messaging_paces (instance_id, next_slot, next_return, slot_interval)
    values (?1, ?2, ?3, ?4)
        on conflict (instance_id) do update
       set next_slot = excluded.next_slot,
           next_return = excluded.next_return,
           slot_interval = excluded.slot_interval";

#[async_trait]
impl Batch for Reservations {
    type Request = SlotsAsked;
    type Answer = Reserved;

    async fn execute(&self, asked: &[SlotsAsked]) -> Result<Vec<Reserved>, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let mut reserved = Vec::with_capacity(asked.len());
        for one in asked {
            reserved.push(reserve(&mut transaction, one).await?);
        }
        transaction.commit().await.map_err(translate)?;
        Ok(reserved)
    }
}

async fn reserve(connection: &mut SqliteConnection, asked: &SlotsAsked) -> Result<Reserved, RepositoryError> {
    let id = asked.instance.0.hyphenated();
    let found = sqlx::query(FIND).bind(id).fetch_optional(&mut *connection).await.map_err(translate)?;
    let mut course = match &found {
        Some(row) => Course {
            next_slot: get(row, "next_slot")?,
            next_return: get(row, "next_return")?,
            interval: get(row, "slot_interval")?,
        },
        None => Course::default(),
    };
    let now = asked.now.timestamp_nanos_opt().unwrap_or(i64::MAX);
    let reserved = course.reserve(asked.pace, asked.slots, asked.returns, now);
    sqlx::query(KEEP)
        .bind(id)
        .bind(course.next_slot)
        .bind(course.next_return)
        .bind(course.interval)
        .execute(connection)
        .await
        .map_err(translate)?;
    Ok(reserved)
}
