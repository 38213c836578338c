use async_trait::async_trait;

use super::instance_lookups::{ById, ByName};
use super::instance_row::{instance, select_instances};
use crate::application::ports::{InstanceRepository, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceId};
use crate::infrastructure::storage::postgres::PgDatabase;

use crate::infrastructure::storage::postgres::messages::delete_instance;
use crate::infrastructure::storage::shared::Batcher;

#[derive(Clone)]
pub struct PgInstanceRepository {
    database: PgDatabase,
    by_id: Batcher<ById>,
    by_name: Batcher<ByName>,
}

impl PgInstanceRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self {
            by_id: Batcher::new(ById::new(database.clone())),
            by_name: Batcher::new(ByName::new(database.clone())),
            database,
        }
    }
}

#[async_trait]
impl InstanceRepository for PgInstanceRepository {
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "insert into messaging_instances
                    (id, tenant, user_id, name, channel, channel_instance_id, channel_phone_or_id, status, credentials,
                     max_retries, metadata, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::json, $12, $13)",
        )
        .bind(instance.id.0)
        .bind(instance.tenant.as_str())
        .bind(&instance.user_id)
        .bind(&instance.name)
        .bind(instance.channel.as_str())
        .bind(&instance.channel_instance_id)
        .bind(&instance.channel_phone_or_id)
        .bind(instance.status.as_str())
        .bind(&instance.credentials.0)
        .bind(instance.max_tries.map(i64::from))
        .bind(&instance.metadata)
        .bind(instance.created_at)
        .bind(instance.updated_at);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        self.by_id.submit(id).await?
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        let query = sqlx::query(select_instances!("where tenant = $1 and id = $2")).bind(tenant.as_str()).bind(id.0);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(instance).transpose()
    }

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        channel_instance_id: &str,
    ) -> Result<Option<Instance>, RepositoryError> {
        let name = [tenant.as_str(), channel.as_str(), channel_instance_id].map(str::to_owned);
        self.by_name.submit(name).await?
    }

    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<Vec<Instance>, RepositoryError> {
        let query = sqlx::query(select_instances!(
            "where tenant = $1 and ($2::text is null or channel = $2) order by created_at, id"
        ))
        .bind(tenant.as_str())
        .bind(channel.map(ChannelName::as_str));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        // A row that was broken by hand must not hide the others.
        let readable = |row| instance(row).inspect_err(|error| tracing::error!(%error, "an instance is left out")).ok();
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn update(&self, instance: &Instance) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update messaging_instances
                set channel_phone_or_id = $3,
                    name = $4,
                    status = $5,
                    credentials = $6,
                    max_retries = $7,
                    metadata = $8::json,
                    updated_at = $9
              where tenant = $1
                and id = $2",
        )
        .bind(instance.tenant.as_str())
        .bind(instance.id.0)
        .bind(&instance.channel_phone_or_id)
        .bind(&instance.name)
        .bind(instance.status.as_str())
        .bind(&instance.credentials.0)
        .bind(instance.max_tries.map(i64::from))
        .bind(&instance.metadata)
        .bind(instance.updated_at);
        let updated = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn delete(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, RepositoryError> {
        delete_instance(&self.database, (tenant, id), reason, dead_lettered_at, now).await
    }
}
