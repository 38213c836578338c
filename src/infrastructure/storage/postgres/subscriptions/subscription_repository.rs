use async_trait::async_trait;

use crate::application::ports::{RepositoryError, SubscriptionRepository};
use crate::domain::access::principal::Tenant;
use crate::domain::subscription::{Subscription, SubscriptionId};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::shared::subscriptions::{patterns, subscription};

pub struct PgSubscriptionRepository {
    database: PgDatabase,
}

impl PgSubscriptionRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SubscriptionRepository for PgSubscriptionRepository {
    async fn insert(&self, subscription: &Subscription) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "insert into messaging_subscriptions
                    (id, tenant, user_id, name, types, filter, template, channel, channel_instance_id, remote_jid, enabled,
                     created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(subscription.id.0)
        .bind(subscription.tenant.as_str())
        .bind(&subscription.user_id)
        .bind(&subscription.name)
        .bind(patterns(&subscription.kinds))
        .bind(&subscription.filter)
        .bind(&subscription.template)
        .bind(subscription.channel.as_str())
        .bind(subscription.channel_instance_id.as_str())
        .bind(&subscription.recipient)
        .bind(subscription.is_enabled)
        .bind(subscription.created_at)
        .bind(subscription.updated_at);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find(&self, tenant: &Tenant, id: SubscriptionId) -> Result<Option<Subscription>, RepositoryError> {
        let query = sqlx::query(
            "select *
               from messaging_subscriptions
              where id = $1
                and tenant = $2",
        )
        .bind(id.0)
        .bind(tenant.as_str());
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(subscription).transpose()
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<Subscription>, RepositoryError> {
        let query = sqlx::query(
            "select *
               from messaging_subscriptions
              where tenant = $1
              order by created_at, id",
        )
        .bind(tenant.as_str());
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(subscription).collect()
    }

    async fn update(&self, subscription: &Subscription) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "update messaging_subscriptions
                set name = $3,
                    types = $4,
                    filter = $5,
                    template = $6,
                    channel = $7,
                    channel_instance_id = $8,
                    remote_jid = $9,
                    enabled = $10,
                    updated_at = $11
              where id = $1
                and tenant = $2",
        )
        .bind(subscription.id.0)
        .bind(subscription.tenant.as_str())
        .bind(&subscription.name)
        .bind(patterns(&subscription.kinds))
        .bind(&subscription.filter)
        .bind(&subscription.template)
        .bind(subscription.channel.as_str())
        .bind(subscription.channel_instance_id.as_str())
        .bind(&subscription.recipient)
        .bind(subscription.is_enabled)
        .bind(subscription.updated_at);
        let updated = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn delete(&self, tenant: &Tenant, id: SubscriptionId) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_subscriptions
              where id = $1
                and tenant = $2",
        )
        .bind(id.0)
        .bind(tenant.as_str());
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() == 1)
    }
}
