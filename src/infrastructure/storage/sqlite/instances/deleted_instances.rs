use async_trait::async_trait;

use crate::application::ports::{DeletedInstances, OpenMessages, Position, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::{fail_open_messages, open_messages};
use crate::infrastructure::storage::sqlite::row::{id, id_list};

#[derive(Clone)]
pub struct SqliteDeletedInstances {
    database: SqliteDatabase,
}

impl SqliteDeletedInstances {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// And what was kept of them beside their messages.
const FORGET: [&str; 3] = [
    "delete from messaging_paces
      where instance_id in (select id
                              from messaging_deleted_instances
                             where id in (select value from json_each(?1)))",
    "delete from messaging_receipt_times
      where instance_id in (select id
                              from messaging_deleted_instances
                             where id in (select value from json_each(?1)))",
    "delete from messaging_deleted_instances where id in (select value from json_each(?1))",
];

#[async_trait]
impl DeletedInstances for SqliteDeletedInstances {
    async fn list(&self, limit: u32) -> Result<Vec<InstanceId>, RepositoryError> {
        let rows = sqlx::query(
            "select id
               from messaging_deleted_instances
              -- One that an older release deleted is made again, and what is open of it is told.
              where id not in (select id from messaging_status_subscriptions)
              order by deleted_at, id
              limit ?1",
        )
        .bind(limit)
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        rows.iter().map(|row| Ok(InstanceId(id(row, "id")?))).collect()
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
        let mut transaction = self.database.begin().await?;
        let list = id_list(instances.iter().map(|instance| instance.0));
        for forget in FORGET {
            sqlx::query(forget).bind(&list).execute(&mut *transaction).await.map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)
    }
}
