use async_trait::async_trait;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteRow;

use crate::application::ports::{
    InstanceRepository, InstancesPage, ListedInstances, RepositoryError, SealedInstance, SearchError,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::instance::{ConnectionStatus, Instance, InstanceChange, InstanceId};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{get, id, parsed, tenant, time, time_text};

#[derive(Clone)]
pub struct SqliteInstanceRepository {
    database: SqliteDatabase,
}

impl SqliteInstanceRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

macro_rules! instance_columns {
    () => {
        "id, tenant, user_id, name, channel, channel_instance_id, channel_phone_or_id, status, credentials, max_retries,
         retry_unknown, event_secret, one_call_at_a_time, rate_limit_per_minute, burst,
         metadata, created_at, updated_at"
    };
}

macro_rules! select_instances {
    ($($rest:literal)?) => {
        concat!("select ", instance_columns!(), " from messaging_instances ", $($rest)?)
    };
}

const UPDATE: &str = concat!(
    "update messaging_instances
        set channel_phone_or_id = coalesce(?3, channel_phone_or_id),
            status = coalesce(?4, status),
            credentials = coalesce(?5, credentials),
            -- The token is among them.
            handshake_digest = iif(?5 is null, handshake_digest, null),
            name = case when ?6 then ?7 else name end,
            max_retries = case when ?8 then ?9 else max_retries end,
            metadata = case when ?10 then ?11 else metadata end,
            retry_unknown = case when ?13 then ?14 else retry_unknown end,
            event_secret = iif(?15 is not null and event_secret is ?18, ?15, event_secret),
            event_secret_digest = iif(?15 is not null and event_secret is ?18, ?17, event_secret_digest),
            former_event_secret_digest =
                iif(?19 is not null and event_secret is ?18, event_secret_digest, former_event_secret_digest),
            former_event_secret_until = iif(?19 is not null and event_secret is ?18, ?19, former_event_secret_until),
            one_call_at_a_time = coalesce(?16, one_call_at_a_time),
            rate_limit_per_minute = iif(?20, ?21, rate_limit_per_minute),
            burst = iif(?22, ?23, burst),
            updated_at = max(updated_at, ?12)
      where tenant = ?1
        and id = ?2
        and purpose is null
     returning ",
    instance_columns!()
);

/// The instances of the table `found` that fit into an answer, and how many were found.
const LISTED: &str = concat!(
    "), fitting as (
         select id
           from (select id,
                        coalesce(sum(bytes) over (order by created_at, id
                                                   rows between unbounded preceding and 1 preceding), 0) as before
                   from found)
          where before < 16777216
     )
     select (select count(*) from found) as count, ",
    instance_columns!(),
    " from messaging_instances
      where id in (select id from fitting)
      order by created_at, id"
);

macro_rules! select_sealed {
    ($channel:literal) => {
        concat!(
            "select id, channel_instance_id, credentials
               from messaging_instances
              where id > coalesce(?1, '')
                and length(credentials) > 0
                and ",
            $channel,
            " order by id
              limit ?2"
        )
    };
}

const SEALED: &str = select_sealed!("?3 is null");
/// Apart: a plan for any channel or all would read all.
const SEALED_OF_CHANNEL: &str = select_sealed!("channel = ?3");

fn page(rows: &[SqliteRow]) -> InstancesPage {
    InstancesPage::of(rows, |row| id(row, "id").ok().map(InstanceId), readable)
}

#[async_trait]
impl InstanceRepository for SqliteInstanceRepository {
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        sqlx::query(
            "insert into messaging_instances
                    (id, tenant, user_id, name, channel, channel_instance_id, channel_phone_or_id, status, credentials,
                     max_retries, metadata, created_at, updated_at, retry_unknown, event_secret, one_call_at_a_time,
                     rate_limit_per_minute, burst)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )
        .bind(instance.id.0.hyphenated())
        .bind(instance.tenant.as_str())
        .bind(&instance.user_id)
        .bind(&instance.name)
        .bind(instance.channel.as_str())
        .bind(&instance.channel_instance_id)
        .bind(&instance.channel_phone_or_id)
        .bind(instance.status.as_str())
        .bind(&instance.credentials.0)
        .bind(instance.max_tries)
        .bind(&instance.metadata)
        .bind(time_text(instance.created_at))
        .bind(time_text(instance.updated_at))
        .bind(instance.retry_unknown)
        .bind(instance.event_secret.as_ref().map(|sealed| &sealed.0))
        .bind(instance.one_call_at_a_time)
        .bind(instance.rate_limit_per_minute)
        .bind(instance.burst)
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(())
    }

    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        let row = sqlx::query(select_instances!("where id = ?1"))
            .bind(id.0.hyphenated())
            .fetch_optional(self.database.readers())
            .await
            .map_err(translate)?;
        row.as_ref().map(instance).transpose()
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let row = sqlx::query(select_instances!("where tenant = ?1 and id = ?2 and purpose is null"))
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .fetch_optional(self.database.readers())
            .await
            .map_err(translate)?;
        row.as_ref().map(instance).transpose()
    }

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        channel_instance_id: &str,
    ) -> Result<Option<Instance>, RepositoryError> {
        let row = sqlx::query(select_instances!(
            "where tenant = ?1 and channel = ?2 and channel_instance_id = ?3 and purpose is null"
        ))
        .bind(tenant.as_str())
        .bind(channel.as_str())
        .bind(channel_instance_id)
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        row.as_ref().map(instance).transpose()
    }

    async fn named(
        &self,
        channel_instance_id: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let rows = sqlx::query(select_instances!(
            "where channel_instance_id = ?1
               and id > coalesce(?2, '')
             order by id
             limit 100"
        ))
        .bind(channel_instance_id)
        .bind(after.map(|after| after.0.hyphenated()))
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        Ok(page(&rows))
    }

    async fn addressed(
        &self,
        channel: &ChannelName,
        address: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let rows = sqlx::query(select_instances!(
            "where channel_phone_or_id = ?1
               and channel = ?2
               and id > coalesce(?3, '')
             order by id
             limit 100"
        ))
        .bind(address)
        .bind(channel.as_str())
        .bind(after.map(|after| after.0.hyphenated()))
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        Ok(page(&rows))
    }

    async fn by_event_secret(
        &self,
        channel_instance_id: &str,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let row = sqlx::query(select_instances!(
            "where channel_instance_id = ?1
               and (event_secret_digest = ?2 or (former_event_secret_digest = ?2 and former_event_secret_until > ?3))
             limit 1"
        ))
        .bind(channel_instance_id)
        .bind(&digest[..])
        .bind(time_text(now))
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        row.as_ref().map(instance).transpose()
    }

    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<ListedInstances, SearchError> {
        let mut query = QueryBuilder::new(
            "with found as materialized (
                 select id,
                        created_at,
                        coalesce(octet_length(metadata), 0) + octet_length(credentials) + 512 as bytes
                   from messaging_instances
                  where purpose is null
                    and tenant = ",
        );
        query.push_bind(tenant.as_str().to_owned());
        if let Some(channel) = channel {
            query.push(" and channel = ").push_bind(channel.as_str().to_owned());
        }
        query.push(LISTED);
        let rows = self.database.searches().find(Some(tenant), query).await?;
        let found: u64 = rows.first().map_or(Ok(0), |row| get(row, "count"))?;
        let more = found > rows.len() as u64;
        Ok(ListedInstances { instances: rows.iter().filter_map(readable).collect(), more })
    }

    async fn of_channels(
        &self,
        channels: &[ChannelName],
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<Instance>, RepositoryError> {
        let names: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
        let rows = sqlx::query(select_instances!(
            "where channel in (select value from json_each(?1)) and (?2 is null or id > ?2) order by id limit ?3"
        ))
        .bind(serde_json::json!(names).to_string())
        .bind(after.map(|after| after.0.hyphenated()))
        .bind(limit)
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn sealed(
        &self,
        channel: Option<&ChannelName>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        let statement = if channel.is_some() { SEALED_OF_CHANNEL } else { SEALED };
        let rows = sqlx::query(statement)
            .bind(after.map(|after| after.0.hyphenated()))
            .bind(limit)
            .bind(channel.map(ChannelName::as_str))
            .fetch_all(self.database.readers())
            .await
            .map_err(translate)?;
        // A row that was broken by hand must not hide the others.
        let readable = |row| {
            sealed(row)
                .inspect_err(|error| tracing::error!(%error, "an instance's row cannot be read and is skipped"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        change: &InstanceChange,
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        self.database.is_in_its_place()?;
        let rows = sqlx::query(UPDATE)
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .bind(&change.channel_phone_or_id)
            .bind(change.status.map(ConnectionStatus::as_str))
            .bind(change.credentials.as_ref().map(|sealed| &sealed.0))
            .bind(change.name.is_some())
            .bind(change.name.as_ref().and_then(Option::as_ref))
            .bind(change.max_tries.is_some())
            .bind(change.max_tries.flatten())
            .bind(change.metadata.is_some())
            .bind(change.metadata.as_ref().and_then(Option::as_ref))
            .bind(time_text(now))
            .bind(change.retry_unknown.is_some())
            .bind(change.retry_unknown.flatten())
            .bind(change.event_secret.as_ref().map(|secret| &secret.sealed.0))
            .bind(change.one_call_at_a_time)
            .bind(change.event_secret.as_ref().map(|secret| &secret.digest[..]))
            .bind(change.event_secret.as_ref().and_then(|secret| secret.replaces.as_ref()).map(|sealed| &sealed.0))
            .bind(change.event_secret.as_ref().and_then(|secret| secret.former_until).map(time_text))
            .bind(change.rate_limit_per_minute.is_some())
            .bind(change.rate_limit_per_minute.flatten())
            .bind(change.burst.is_some())
            .bind(change.burst.flatten())
            .fetch_all(self.database.writer())
            .await
            .map_err(translate)?;
        rows.first().map(instance).transpose()
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let deleted = sqlx::query("delete from messaging_instances where tenant = ?1 and id = ?2 and purpose is null")
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
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

fn sealed(row: &SqliteRow) -> Result<SealedInstance, RepositoryError> {
    Ok(SealedInstance {
        id: InstanceId(id(row, "id")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        credentials: SealedCredentials(get(row, "credentials")?),
    })
}

/// A row that was broken by hand must not hide the others.
fn readable(row: &SqliteRow) -> Option<Instance> {
    instance(row).inspect_err(|error| tracing::error!(%error, "an instance's row cannot be read and is skipped")).ok()
}

fn instance(row: &SqliteRow) -> Result<Instance, RepositoryError> {
    Ok(Instance {
        id: InstanceId(id(row, "id")?),
        tenant: tenant(row)?,
        user_id: get(row, "user_id")?,
        name: get(row, "name")?,
        channel: ChannelName::new(get::<String>(row, "channel")?),
        channel_instance_id: get(row, "channel_instance_id")?,
        channel_phone_or_id: get(row, "channel_phone_or_id")?,
        status: parsed(row, "status", |text| text.parse().ok())?,
        credentials: SealedCredentials(get(row, "credentials")?),
        max_tries: get(row, "max_retries")?,
        event_secret: get::<Option<Vec<u8>>>(row, "event_secret")?.map(SealedCredentials),
        retry_unknown: get(row, "retry_unknown")?,
        one_call_at_a_time: get(row, "one_call_at_a_time")?,
        rate_limit_per_minute: get(row, "rate_limit_per_minute")?,
        burst: get(row, "burst")?,
        metadata: get(row, "metadata")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::LISTED;
    use crate::application::ports::{BYTES_AT_ONCE, BYTES_OF_AN_INSTANCE};

    #[test]
    fn a_list_is_as_much_as_the_ports_say() {
        assert!(LISTED.contains(&format!(" < {BYTES_AT_ONCE}\n")));
        assert_eq!(BYTES_OF_AN_INSTANCE, 512);
    }
}
