use async_trait::async_trait;
use sqlx::QueryBuilder;
use sqlx::postgres::PgRow;

use super::instance_lookups::{ById, ByName};
use super::instance_row::{instance, instance_columns, select_instances};
use crate::application::ports::{
    InstanceRepository, InstancesPage, ListedInstances, RepositoryError, SealedInstance, SearchError,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::instance::{ConnectionStatus, Instance, InstanceChange, InstanceId};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, only};
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

const UPDATE: &str = concat!(
    "update messaging_instances
        set channel_phone_or_id = coalesce($3, channel_phone_or_id),
            status = coalesce($4, status),
            credentials = coalesce($5, credentials),
            -- The token is among them.
            handshake_digest = case when $5::bytea is null then handshake_digest end,
            name = case when $6 then $7 else name end,
            max_retries = case when $8 then $9 else max_retries end,
            metadata = case when $10 then $11::json else metadata end,
            retry_unknown = case when $13 then $14 else retry_unknown end,
            event_secret = case when $15::bytea is not null and event_secret is not distinct from $18 then $15 else event_secret end,
            event_secret_digest =
                case when $15 is not null and event_secret is not distinct from $18 then $17 else event_secret_digest end,
            former_event_secret_digest =
                case when $19::timestamptz is not null and event_secret is not distinct from $18 then event_secret_digest
                     else former_event_secret_digest end,
            former_event_secret_until =
                case when $19 is not null and event_secret is not distinct from $18 then $19
                     else former_event_secret_until end,
            one_call_at_a_time = coalesce($16, one_call_at_a_time),
            rate_limit_per_minute = case when $20 then $21 else rate_limit_per_minute end,
            burst = case when $22 then $23 else burst end,
            updated_at = greatest(updated_at, $12)
      where tenant = $1
        and id = $2
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
                   from found) as sized
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
              where ($1::uuid is null or id > $1)
                and octet_length(credentials) > 0
                and ",
            $channel,
            " order by id
              limit $2"
        )
    };
}

const SEALED: &str = select_sealed!("$3::text is null");
/// Apart: a plan for any channel or all would read all.
const SEALED_OF_CHANNEL: &str = select_sealed!("channel = $3");

/// One statement is one transaction.
const DELETE: &str = "
    with deleted as (
         delete from messaging_instances
          where tenant = $1
            and id = $2
            and purpose is null
         returning id, tenant
     ), listed as (
         insert into messaging_deleted_instances (id, tenant, deleted_at)
         select id, tenant, $3
           from deleted
         on conflict do nothing
     )
     select exists (select from deleted) as deleted";

/// A row that was broken by hand must not hide the others.
fn readable(row: &PgRow) -> Option<Instance> {
    instance(row).inspect_err(|error| tracing::error!(%error, "an instance's row cannot be read and is skipped")).ok()
}

fn page(rows: &[PgRow]) -> InstancesPage {
    InstancesPage::of(rows, |row| get(row, "id").ok().map(InstanceId), readable)
}

#[async_trait]
impl InstanceRepository for PgInstanceRepository {
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "insert into messaging_instances
                    (id, tenant, user_id, name, channel, channel_instance_id, channel_phone_or_id, status, credentials,
                     max_retries, metadata, created_at, updated_at, retry_unknown, event_secret, one_call_at_a_time,
                     rate_limit_per_minute, burst)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::json, $12, $13, $14, $15, $16, $17, $18)",
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
        .bind(instance.updated_at)
        .bind(instance.retry_unknown)
        .bind(instance.event_secret.as_ref().map(|sealed| &sealed.0))
        .bind(instance.one_call_at_a_time)
        .bind(instance.rate_limit_per_minute.map(i64::from))
        .bind(instance.burst.map(i64::from));
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        self.by_id.submit(id).await?
    }

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError> {
        let query = sqlx::query(select_instances!("where tenant = $1 and id = $2 and purpose is null"))
            .bind(tenant.as_str())
            .bind(id.0);
        let row = self.database.read(async |connection| query.fetch_optional(connection).await).await?;
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

    async fn named(
        &self,
        channel_instance_id: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let query = sqlx::query(select_instances!(
            "where channel_instance_id = $1
               and ($2::uuid is null or id > $2)
             order by id
             limit 100"
        ))
        .bind(channel_instance_id)
        .bind(after.map(|after| after.0));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(page(&rows))
    }

    async fn addressed(
        &self,
        channel: &ChannelName,
        address: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError> {
        let query = sqlx::query(select_instances!(
            "where channel_phone_or_id = $1
               and channel = $2
               and ($3::uuid is null or id > $3)
             order by id
             limit 100"
        ))
        .bind(address)
        .bind(channel.as_str())
        .bind(after.map(|after| after.0));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(page(&rows))
    }

    async fn by_event_secret(
        &self,
        channel_instance_id: &str,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let query = sqlx::query(select_instances!(
            "where channel_instance_id = $1
               and (event_secret_digest = $2 or (former_event_secret_digest = $2 and former_event_secret_until > $3))
             limit 1"
        ))
        .bind(channel_instance_id)
        .bind(&digest[..])
        .bind(now);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(instance).transpose()
    }

    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<ListedInstances, SearchError> {
        let mut query = QueryBuilder::new(
            "with found as (
                 select id,
                        created_at,
                        coalesce(octet_length(metadata::text), 0) + octet_length(credentials) + 512 as bytes
                   from messaging_instances
                  where purpose is null
                    and tenant = ",
        );
        query.push_bind(tenant.as_str().to_owned());
        if let Some(channel) = channel {
            query.push(" and channel = ").push_bind(channel.as_str().to_owned());
        }
        query.push(LISTED);
        let rows = self.database.searches.begin(Some(tenant)).await?.find_planned(query).await?;
        let found: i64 = rows.first().map_or(Ok(0), |row| get(row, "count"))?;
        let more = found > rows.len() as i64;
        Ok(ListedInstances { instances: rows.iter().filter_map(readable).collect(), more })
    }

    async fn of_channels(
        &self,
        channels: &[ChannelName],
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<Instance>, RepositoryError> {
        let query = sqlx::query(select_instances!(
            "where channel = any($1) and ($2::uuid is null or id > $2) order by id limit $3"
        ))
        .bind(channels.iter().map(|channel| channel.as_str().to_owned()).collect::<Vec<_>>())
        .bind(after.map(|after| after.0))
        .bind(i64::from(limit));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn sealed(
        &self,
        channel: Option<&ChannelName>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError> {
        let statement = if channel.is_some() { SEALED_OF_CHANNEL } else { SEALED };
        let query = sqlx::query(statement)
            .bind(after.map(|after| after.0))
            .bind(i64::from(limit))
            .bind(channel.map(ChannelName::as_str));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter()
            .map(|row| {
                Ok(SealedInstance {
                    id: InstanceId(get(row, "id")?),
                    channel_instance_id: get(row, "channel_instance_id")?,
                    credentials: SealedCredentials(get(row, "credentials")?),
                })
            })
            .collect()
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        change: &InstanceChange,
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError> {
        let query = sqlx::query(UPDATE)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(&change.channel_phone_or_id)
            .bind(change.status.map(ConnectionStatus::as_str))
            .bind(change.credentials.as_ref().map(|sealed| &sealed.0))
            .bind(change.name.is_some())
            .bind(change.name.as_ref().and_then(Option::as_ref))
            .bind(change.max_tries.is_some())
            .bind(change.max_tries.flatten().map(i64::from))
            .bind(change.metadata.is_some())
            .bind(change.metadata.as_ref().and_then(Option::as_ref))
            .bind(now)
            .bind(change.retry_unknown.is_some())
            .bind(change.retry_unknown.flatten())
            .bind(change.event_secret.as_ref().map(|secret| &secret.sealed.0))
            .bind(change.one_call_at_a_time)
            .bind(change.event_secret.as_ref().map(|secret| &secret.digest[..]))
            .bind(change.event_secret.as_ref().and_then(|secret| secret.replaces.as_ref()).map(|sealed| &sealed.0))
            .bind(change.event_secret.as_ref().and_then(|secret| secret.former_until))
            .bind(change.rate_limit_per_minute.is_some())
            .bind(change.rate_limit_per_minute.flatten().map(i64::from))
            .bind(change.burst.is_some())
            .bind(change.burst.flatten().map(i64::from));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        only(rows).as_ref().map(instance).transpose()
    }

    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(DELETE).bind(tenant.as_str()).bind(id.0).bind(now);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        only(rows).as_ref().map_or(Ok(false), |row| get(row, "deleted"))
    }
}

#[cfg(test)]
mod tests {
    use super::LISTED;
    use crate::application::ports::{BYTES_AT_ONCE, BYTES_OF_AN_INSTANCE, INSTANCES_A_PAGE};

    #[test]
    fn a_list_is_as_much_as_the_ports_say() {
        assert!(LISTED.contains(&format!(" < {BYTES_AT_ONCE}\n")));
        assert_eq!((BYTES_OF_AN_INSTANCE, INSTANCES_A_PAGE), (512, 100));
    }
}
