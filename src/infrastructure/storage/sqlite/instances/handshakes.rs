use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use crate::application::ports::{Handshakes, RepositoryError, SealedInstance};
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::SealedCredentials;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id};

#[derive(Clone)]
pub struct SqliteHandshakes {
    database: SqliteDatabase,
}

impl SqliteHandshakes {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Handshakes for SqliteHandshakes {
    async fn find(
        &self,
        channel: &ChannelName,
        digest: &[u8; 32],
        channel_instance_id: Option<&str>,
    ) -> Result<Option<SealedInstance>, RepositoryError> {
        let row = sqlx::query(
            "select id, channel_instance_id, credentials
               from messaging_instances indexed by messaging_instances_by_handshake
              where handshake_digest = ?1
                and channel = ?2
                and (?3 is null or channel_instance_id = ?3)
              limit 1",
        )
        .bind(&digest[..])
        .bind(channel.as_str())
        .bind(channel_instance_id)
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        row.as_ref().map(sealed).transpose()
    }

    async fn unnoted(
        &self,
        channel: &ChannelName,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        let rows = sqlx::query(
            "select id, channel_instance_id, credentials
               from messaging_instances indexed by messaging_instances_without_handshake
              where handshake_digest is null
                and channel = ?1
                and id > coalesce(?2, '')
                and length(credentials) > 0
              order by id
              limit ?3",
        )
        .bind(channel.as_str())
        .bind(after.map(|after| after.0.hyphenated()))
        .bind(limit)
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        rows.iter().map(sealed).collect()
    }

    async fn note(&self, noted: &[(SealedInstance, [u8; 32])]) -> Result<(), RepositoryError> {
        let mut transaction = self.database.begin().await?;
        for (instance, digest) in noted {
            sqlx::query("update messaging_instances set handshake_digest = ?3 where id = ?1 and credentials = ?2")
                .bind(instance.id.0.hyphenated())
                .bind(&instance.credentials.0)
                .bind(&digest[..])
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)
    }
}

fn sealed(row: &SqliteRow) -> Result<SealedInstance, RepositoryError> {
    Ok(SealedInstance {
        id: InstanceId(id(row, "id")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        credentials: SealedCredentials(get(row, "credentials")?),
    })
}
