use async_trait::async_trait;
use sqlx::{Connection, PgConnection, Row as _};
use uuid::Uuid;

use super::group_members::put;
use crate::application::ports::{GroupSyncs, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::group::member::Member;
use crate::domain::group::sync::GroupSync;
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::shared::groups::{group_columns, sync, sync_columns};

#[derive(Clone)]
pub struct PgGroupSyncs {
    database: PgDatabase,
}

impl PgGroupSyncs {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const BEGIN: &str = concat!(
    "insert into messaging_group_syncs (",
    sync_columns!(),
    ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (instance_id) do update
        set tenant = excluded.tenant,
            status = excluded.status,
            total_groups = excluded.total_groups,
            synced_groups = excluded.synced_groups,
            total_members = excluded.total_members,
            error = excluded.error,
            started_at = excluded.started_at,
            updated_at = excluded.updated_at
      where messaging_group_syncs.started_at = $10
        and messaging_group_syncs.updated_at = $11"
);

const NOTE: &str = "
    update messaging_group_syncs
       set status = $3,
           total_groups = $4,
           synced_groups = $5,
           total_members = $6,
           error = $7,
           updated_at = $8
     where instance_id = $1
       and started_at = $2";

const STORE: &str = concat!(
    "insert into messaging_groups (",
    group_columns!(),
    ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11, $12)
         on conflict (instance_id, external_group_id) do update
        set name = excluded.name,
            type = excluded.type,
            metadata = excluded.metadata,
            last_sync_at = excluded.last_sync_at,
            updated_at = greatest(messaging_groups.updated_at, excluded.updated_at)
      where messaging_groups.last_sync_at is null
         or messaging_groups.last_sync_at <= excluded.last_sync_at
     returning id"
);

const WHO_LEFT: &str = "
    delete from messaging_group_members as members
     where members.group_id = $1
       and not exists (select
                         from unnest($2::text[]) as stays (identifier)
                        where stays.identifier = members.identifier)";

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[async_trait]
impl GroupSyncs for PgGroupSyncs {
    async fn begin(&self, sync: &GroupSync, last: Option<&GroupSync>) -> Result<bool, RepositoryError> {
        let query = sqlx::query(BEGIN)
            .bind(sync.instance_id.0)
            .bind(sync.tenant.as_str())
            .bind(sync.status.as_str())
            .bind(number(sync.total_groups))
            .bind(number(sync.synced_groups))
            .bind(number(sync.total_members))
            .bind(&sync.error)
            .bind(sync.started_at)
            .bind(sync.updated_at)
            .bind(last.map(|last| last.started_at))
            .bind(last.map(|last| last.updated_at));
        let begun = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(begun.rows_affected() > 0)
    }

    async fn note(&self, sync: &GroupSync) -> Result<bool, RepositoryError> {
        let query = sqlx::query(NOTE)
            .bind(sync.instance_id.0)
            .bind(sync.started_at)
            .bind(sync.status.as_str())
            .bind(number(sync.total_groups))
            .bind(number(sync.synced_groups))
            .bind(number(sync.total_members))
            .bind(&sync.error)
            .bind(sync.updated_at);
        let noted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(noted.rows_affected() > 0)
    }

    async fn find(&self, tenant: &Tenant, instance: InstanceId) -> Result<Option<GroupSync>, RepositoryError> {
        let query = sqlx::query(concat!(
            "select ",
            sync_columns!(),
            " from messaging_group_syncs where tenant = $1 and instance_id = $2"
        ))
        .bind(tenant.as_str())
        .bind(instance.0);
        let row = self.database.read(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(sync).transpose()
    }

    async fn store(&self, group: &Group, members: &[Member]) -> Result<(), RepositoryError> {
        let stay: Vec<&str> = members.iter().map(|member| member.identifier.as_str()).collect();
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            let stored = sqlx::query(STORE)
                .bind(group.id.0)
                .bind(group.tenant.as_str())
                .bind(&group.user_id)
                .bind(group.instance_id.0)
                .bind(&group.name)
                .bind(&group.description)
                .bind(group.kind.as_str())
                .bind(&group.external_id)
                .bind(&group.metadata)
                .bind(group.last_sync_at)
                .bind(group.created_at)
                .bind(group.updated_at)
                .fetch_optional(&mut *transaction)
                .await?;
            let Some(stored) = stored else { return transaction.rollback().await };
            let id = GroupId(stored.try_get::<Uuid, _>("id")?);
            sqlx::query(WHO_LEFT).bind(id.0).bind(&stay).execute(&mut *transaction).await?;
            put(&mut transaction, id, members).await?;
            transaction.commit().await
        };
        self.database.run(work).await
    }

    async fn delete_before(&self, instance: InstanceId, since: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_groups
              where id in (select id
                             from messaging_groups
                            where instance_id = $1
                              and is_synced
                              and last_sync_at < $2
                            order by id
                            limit $3)",
        )
        .bind(instance.0)
        .bind(since)
        .bind(i64::from(limit));
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected())
    }
}
