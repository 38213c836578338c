use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use crate::application::ports::{RepositoryError, StatusSubscriptions};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::status_webhook::{MOST, States, StatusSubscription};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id, tenant, time, time_text};

#[derive(Clone)]
pub struct SqliteStatusSubscriptions {
    database: SqliteDatabase,
}

impl SqliteStatusSubscriptions {
    pub fn new(database: SqliteDatabase) -> Self {
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

/// The instance behind a subscription, if it is not there, or no more.
pub(super) async fn make_instance(
    transaction: &mut Transaction<'_, Sqlite>,
    id: InstanceId,
) -> Result<(), RepositoryError> {
    for statement in [
        "delete from messaging_deleted_instances
          where id = ?1",
        "insert into messaging_instances
                (id, tenant, user_id, channel, channel_instance_id, channel_phone_or_id, status, credentials, purpose, created_at,
                 updated_at)
         select id, tenant, user_id, 'webhook', 'status:' || id, url, 'connected', credentials, 'status', created_at, updated_at
           from messaging_status_subscriptions
          where id = ?1
             on conflict do nothing",
    ] {
        sqlx::query(statement).bind(id.0.hyphenated()).execute(&mut **transaction).await.map_err(translate)?;
    }
    Ok(())
}

#[async_trait]
impl StatusSubscriptions for SqliteStatusSubscriptions {
    async fn insert(&self, new: &StatusSubscription) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let stored = sqlx::query(
            "insert into messaging_status_subscriptions
                    (id, tenant, user_id, url, credentials, states, channel_instance_id, version, created_at, updated_at)
             select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
              where (select count(*) from messaging_status_subscriptions where tenant = ?2) < ?11",
        )
        .bind(new.id.0.hyphenated())
        .bind(new.tenant.as_str())
        .bind(&new.user_id)
        .bind(&new.url)
        .bind(&new.credentials.0)
        .bind(new.states.text())
        .bind(&new.channel_instance_id)
        .bind(new.version)
        .bind(time_text(new.created_at))
        .bind(time_text(new.updated_at))
        .bind(MOST)
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
        if stored.rows_affected() == 0 {
            return Ok(false);
        }
        make_instance(&mut transaction, new.id).await?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<StatusSubscription>, RepositoryError> {
        let row = sqlx::query(select_subscriptions!("where tenant = ?1 and id = ?2"))
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .fetch_optional(self.database.readers())
            .await
            .map_err(translate)?;
        row.as_ref().map(subscription).transpose()
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<StatusSubscription>, RepositoryError> {
        let rows = sqlx::query(select_subscriptions!("where tenant = ?1 order by created_at, id limit ?2"))
            .bind(tenant.as_str())
            .bind(MOST)
            .fetch_all(self.database.readers())
            .await
            .map_err(translate)?;
        rows.iter().map(subscription).collect()
    }

    async fn update(&self, changed: &StatusSubscription) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let updated = sqlx::query(
            "update messaging_status_subscriptions
                set url = ?4,
                    credentials = ?5,
                    states = ?6,
                    channel_instance_id = ?7,
                    updated_at = max(updated_at, ?8),
                    version = version + 1
              where tenant = ?1
                and id = ?2
                and version = ?3",
        )
        .bind(changed.tenant.as_str())
        .bind(changed.id.0.hyphenated())
        .bind(changed.version)
        .bind(&changed.url)
        .bind(&changed.credentials.0)
        .bind(changed.states.text())
        .bind(&changed.channel_instance_id)
        .bind(time_text(changed.updated_at))
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "update messaging_instances
                set channel_phone_or_id = ?2,
                    credentials = ?3,
                    updated_at = max(updated_at, ?4)
              where id = ?1",
        )
        .bind(changed.id.0.hyphenated())
        .bind(&changed.url)
        .bind(&changed.credentials.0)
        .bind(time_text(changed.updated_at))
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let deleted = sqlx::query("delete from messaging_status_subscriptions where tenant = ?1 and id = ?2")
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        for statement in [
            "delete from messaging_instances where id = ?1",
            "delete from messaging_status_tellings where subscription_id = ?1",
        ] {
            sqlx::query(statement).bind(id.0.hyphenated()).execute(&mut *transaction).await.map_err(translate)?;
        }
        sqlx::query(
            "insert into messaging_deleted_instances (id, tenant, deleted_at)
             values (?1, ?2, ?3)
             on conflict do nothing",
        )
        .bind(id.0.hyphenated())
        .bind(tenant.as_str())
        .bind(time_text(now))
        .execute(&mut *transaction)
        .await
        .map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }
}

fn subscription(row: &SqliteRow) -> Result<StatusSubscription, RepositoryError> {
    Ok(StatusSubscription {
        id: InstanceId(id(row, "id")?),
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
