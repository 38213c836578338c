use std::time::Duration;

use async_trait::async_trait;

use super::acceptance::Acceptance;
use super::connections::takes_writes;
use super::{PgDatabase, messages, weeks};
use crate::application::ports::{RepositoryError, Storage, WeeksStanding};
use crate::domain::Timestamp;
use crate::domain::inbound::KEYS_KEPT;
use crate::infrastructure::storage::shared::{Batch, Batchable, Batcher, first_id};

/// Keys deleted by one statement, so that none takes long.
const BATCH: u32 = 1_000;

#[derive(Clone)]
pub struct PgStorage {
    pings: Batcher<Pings>,
    acceptance: Acceptance,
    database: PgDatabase,
}

impl PgStorage {
    pub fn new(database: PgDatabase) -> Self {
        let acceptance = Acceptance::new(database.clone());
        let pings = Pings { acceptance: acceptance.clone(), database: database.clone() };
        Self { pings: Batcher::new(pings), acceptance, database }
    }
}

/// However many ask whether the database takes writes, the watch waits for one of them.
struct Pings {
    acceptance: Acceptance,
    database: PgDatabase,
}

struct Ping;

impl Batchable for Ping {
    type Key = ();

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

#[async_trait]
impl Batch for Pings {
    type Request = Ping;
    type Answer = ();

    async fn execute(&self, asked: &[Ping]) -> Result<Vec<()>, RepositoryError> {
        let takes_writes = self.database.watch.run(takes_writes).await;
        let takes_writes = takes_writes.inspect_err(|error| self.acceptance.cannot_look(error))?;
        self.database.server.judge(takes_writes)?;
        self.acceptance.look().await?;
        Ok(vec![(); asked.len()])
    }
}

#[async_trait]
impl Storage for PgStorage {
    async fn ping(&self) -> Result<(), RepositoryError> {
        self.pings.submit(Ping).await
    }

    fn troubles(&self) -> Vec<String> {
        self.acceptance.trouble().map(str::to_owned).into_iter().collect()
    }

    async fn maintain(&self, now: Timestamp) -> Result<(), RepositoryError> {
        weeks::keep(&self.database, now).await;
        Ok(())
    }

    async fn delete_expired_keys(&self, now: Timestamp) -> Result<bool, RepositoryError> {
        // Locked first: an expired key that is being used again at this moment is passed over.
        let query = sqlx::query(
            "delete from messaging_idempotency_keys
              where (tenant, key) in (
                    select tenant, key
                      from messaging_idempotency_keys
                     -- Of two clocks the one that is behind: one that is ahead must not make every key look old.
                     where expires_at <= (select least($1, clock_timestamp()))
                     order by expires_at
                     limit $2
                       for update skip locked)",
        )
        .bind(now)
        .bind(i64::from(BATCH));
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        let received = sqlx::query(
            "delete from messaging_received_messages
              where (instance_id, channel_message_id, chat, sender) in (
                    select instance_id, channel_message_id, chat, sender
                      from messaging_received_messages
                     where message_id < $1
                     order by message_id
                     limit $2
                       for update skip locked)",
        )
        .bind(first_id(now - KEYS_KEPT))
        .bind(i64::from(BATCH));
        let forgotten = self.database.run(async |connection| received.execute(connection).await).await?;
        Ok([deleted, forgotten].iter().any(|deleted| deleted.rows_affected() == u64::from(BATCH)))
    }

    async fn roll_up(&self) -> Result<(), RepositoryError> {
        messages::roll_up(&self.database).await
    }

    async fn overhaul(&self, now: Timestamp) -> Result<(), RepositoryError> {
        weeks::overhaul(&self.database, now).await
    }

    async fn delete_history(&self, retention: Duration, now: Timestamp) -> Result<bool, RepositoryError> {
        weeks::delete_history(&self.database, retention, now).await
    }

    async fn weeks(&self, now: Timestamp) -> Result<Option<WeeksStanding>, RepositoryError> {
        weeks::standing(&self.database, now).await.map(Some)
    }
}
