use async_trait::async_trait;
use sqlx::postgres::PgRow;

use crate::application::ports::{Handshakes, RepositoryError, SealedInstance};
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::SealedCredentials;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::get;

#[derive(Clone)]
pub struct PgHandshakes {
    database: PgDatabase,
}

impl PgHandshakes {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Handshakes for PgHandshakes {
    async fn find(
        &self,
        channel: &ChannelName,
        digest: &[u8; 32],
        channel_instance_id: Option<&str>,
    ) -> Result<Option<SealedInstance>, RepositoryError> {
        let query = sqlx::query(
            "select id, channel_instance_id, credentials
               from messaging_instances
              where handshake_digest = $1
                and channel = $2
                and ($3::text is null or channel_instance_id = $3)
              limit 1",
        )
        .bind(&digest[..])
        .bind(channel.as_str())
        .bind(channel_instance_id);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(sealed).transpose()
    }

    async fn unnoted(
        &self,
        channel: &ChannelName,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        let query = sqlx::query(
            "select id, channel_instance_id, credentials
               from messaging_instances
              where handshake_digest is null
                and channel = $1
                and ($2::uuid is null or id > $2)
                and octet_length(credentials) > 0
              order by id
              limit $3",
        )
        .bind(channel.as_str())
        .bind(after.map(|after| after.0))
        .bind(i64::from(limit));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(sealed).collect()
    }

    async fn note(&self, noted: &[(SealedInstance, [u8; 32])]) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "update messaging_instances as instances
                set handshake_digest = noted.digest
               from (select unnest($1::uuid[]) as id, unnest($2::bytea[]) as credentials, unnest($3::bytea[]) as digest) as noted
              where instances.id = noted.id
                and instances.credentials = noted.credentials",
        )
        .bind(noted.iter().map(|(instance, _)| instance.id.0).collect::<Vec<_>>())
        .bind(noted.iter().map(|(instance, _)| instance.credentials.0.as_slice()).collect::<Vec<_>>())
        .bind(noted.iter().map(|(_, digest)| &digest[..]).collect::<Vec<_>>());
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }
}

fn sealed(row: &PgRow) -> Result<SealedInstance, RepositoryError> {
    Ok(SealedInstance {
        id: InstanceId(get(row, "id")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        credentials: SealedCredentials(get(row, "credentials")?),
    })
}
