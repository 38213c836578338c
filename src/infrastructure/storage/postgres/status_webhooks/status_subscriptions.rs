use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::application::ports::{RepositoryError, StatusSubscriptions};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::status_webhook::{MOST, States, StatusSubscription};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, tenant, time};

#[derive(Clone)]
pub struct PgStatusSubscriptions {
    database: PgDatabase,
}

impl PgStatusSubscriptions {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

macro_rules! select_subscriptions {
    ($rest:literal) => {
        concat!(
            "select id, tenant, user_id, url, credentials, states, channel_instance_id, version, created_at, updated_at
               from messaging_status_subscriptions ",
            $rest
        )
    };
}

/// The instances behind these subscriptions that are not there, or no more.
pub(super) async fn make_instances(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with known as (
              delete from messaging_deleted_instances
               where id = any($1)
         )
         insert into messaging_instances
                (id, tenant, user_id, channel, channel_instance_id, channel_phone_or_id, status, credentials, purpose, created_at,
                 updated_at)
         select id, tenant, user_id, 'webhook', 'status:' || id, url, 'connected', credentials, 'status', created_at, updated_at
           from messaging_status_subscriptions
          where id = any($1)
             on conflict do nothing",
    )
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}

#[async_trait]
impl StatusSubscriptions for PgStatusSubscriptions {
    /// Those of one tenant one after the other, so that none is counted without another one that is just being made.
    async fn insert(&self, new: &StatusSubscription) -> Result<bool, RepositoryError> {
        let lock = sqlx::query("select pg_advisory_xact_lock(hashtext('correio status subscriptions'), hashtext($1))")
            .bind(new.tenant.as_str());
        let insert = sqlx::query(
            "insert into messaging_status_subscriptions
                    (id, tenant, user_id, url, credentials, states, channel_instance_id, version, created_at, updated_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
              where (select count(*) from messaging_status_subscriptions where tenant = $2) < $11",
        )
        .bind(new.id.0)
        .bind(new.tenant.as_str())
        .bind(&new.user_id)
        .bind(&new.url)
        .bind(&new.credentials.0)
        .bind(new.states.text())
        .bind(&new.channel_instance_id)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .bind(i64::from(MOST));
        let stored = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin_with("begin isolation level read committed").await?;
            lock.execute(&mut *transaction).await?;
            let is_stored = insert.execute(&mut *transaction).await?.rows_affected() == 1;
            make_instances(&mut transaction, &[new.id.0]).await?;
            transaction.commit().await?;
            Ok(is_stored)
        };
        self.database.run(stored).await
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<StatusSubscription>, RepositoryError> {
        let query =
            sqlx::query(select_subscriptions!("where tenant = $1 and id = $2")).bind(tenant.as_str()).bind(id.0);
        let row = self.database.read(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(subscription).transpose()
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<StatusSubscription>, RepositoryError> {
        let query = sqlx::query(select_subscriptions!("where tenant = $1 order by created_at, id limit $2"))
            .bind(tenant.as_str())
            .bind(i64::from(MOST));
        let rows = self.database.read(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(subscription).collect()
    }

    async fn update(&self, changed: &StatusSubscription) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "with updated as (
                  update messaging_status_subscriptions
                     set url = $4,
                         credentials = $5,
                         states = $6,
                         channel_instance_id = $7,
                         updated_at = greatest(updated_at, $8),
                         version = version + 1
                   where tenant = $1
                     and id = $2
                     and version = $3
                  returning id, updated_at
             ), behind as (
                  update messaging_instances as instances
                     set channel_phone_or_id = $4,
                         credentials = $5,
                         updated_at = updated.updated_at
                    from updated
                   where instances.id = updated.id
             )
             select exists (select from updated)",
        )
        .bind(changed.tenant.as_str())
        .bind(changed.id.0)
        .bind(changed.version)
        .bind(&changed.url)
        .bind(&changed.credentials.0)
        .bind(changed.states.text())
        .bind(&changed.channel_instance_id)
        .bind(changed.updated_at);
        self.database
            .run(async |connection| {
                let rows = query.fetch_all(connection).await?;
                rows.first().map_or(Ok(false), |row| sqlx::Row::try_get(row, 0))
            })
            .await
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "with deleted as (
                  delete from messaging_status_subscriptions
                   where tenant = $1
                     and id = $2
                  returning id, tenant
             ), behind as (
                  delete from messaging_instances
                   where id in (select id from deleted)
             ), listed as (
                  insert into messaging_deleted_instances (id, tenant, deleted_at)
                  select id, tenant, $3
                    from deleted
                      on conflict do nothing
             ), waiting as (
                  delete from messaging_status_tellings
                   where subscription_id in (select id from deleted)
             )
             select exists (select from deleted)",
        )
        .bind(tenant.as_str())
        .bind(id.0)
        .bind(now);
        self.database
            .run(async |connection| {
                let rows = query.fetch_all(connection).await?;
                rows.first().map_or(Ok(false), |row| sqlx::Row::try_get(row, 0))
            })
            .await
    }
}

fn subscription(row: &PgRow) -> Result<StatusSubscription, RepositoryError> {
    Ok(StatusSubscription {
        id: InstanceId(get(row, "id")?),
        tenant: tenant(row)?,
        user_id: get(row, "user_id")?,
        url: get(row, "url")?,
        credentials: SealedCredentials(get(row, "credentials")?),
        states: States::parse(get::<Option<&str>>(row, "states")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        version: get(row, "version")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
