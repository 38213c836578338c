use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::{DeletedInstances, OpenMessages, Position, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::{fail_open_messages, open_messages};
use crate::infrastructure::storage::postgres::row::get;

/// On the connection for what takes longer and may be later.
#[derive(Clone)]
pub struct PgDeletedInstances {
    database: PgDatabase,
}

impl PgDeletedInstances {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

/// And what was kept of them beside their messages.
const FORGET: &str = "
    with forgotten as (
             delete from messaging_deleted_instances
              where id = any($1)
             returning id),
         paces as (
             delete from messaging_paces
              where instance_id in (select id from forgotten)),
         turns as (
             delete from messaging_call_turns
              where instance_id in (select id from forgotten))
    delete from messaging_receipt_times
     where instance_id in (select id from forgotten)";

#[async_trait]
impl DeletedInstances for PgDeletedInstances {
    async fn list(&self, limit: u32) -> Result<Vec<InstanceId>, RepositoryError> {
        let query = sqlx::query(
            "select id
               from messaging_deleted_instances as deleted
              -- One that an older release deleted is made again, and what is open of it is told.
              where not exists (select from messaging_status_subscriptions where id = deleted.id)
              order by deleted_at, id
              limit $1",
        )
        .bind(i64::from(limit));
        let rows = self.database.upkeep.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(|row| Ok(InstanceId(get(row, "id")?))).collect()
    }

    async fn open_messages(
        &self,
        instances: &[InstanceId],
        after: &Position,
        reach: u32,
    ) -> Result<OpenMessages, RepositoryError> {
        open_messages(&self.database, instances, after, reach).await
    }

    async fn fail(
        &self,
        instances: &[InstanceId],
        messages: &[MessageId],
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, RepositoryError> {
        fail_open_messages(&self.database, (instances, messages), reason, dead_lettered_at, now).await
    }

    async fn forget(&self, instances: &[InstanceId]) -> Result<(), RepositoryError> {
        let query = sqlx::query(FORGET).bind(instances.iter().map(|instance| instance.0).collect::<Vec<Uuid>>());
        self.database.upkeep.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}
