use async_trait::async_trait;
use uuid::Uuid;

use super::group_members::put;
use crate::application::ports::{GroupSyncs, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::group::member::Member;
use crate::domain::group::sync::GroupSync;
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::shared::groups::{group_columns, sync, sync_columns};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{id, time_text, time_text_option};

#[derive(Clone)]
pub struct SqliteGroupSyncs {
    database: SqliteDatabase,
}

impl SqliteGroupSyncs {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

const BEGIN: &str = concat!(
    "insert into messaging_group_syncs (",
    sync_columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         on conflict (instance_id) do update
        set tenant = excluded.tenant,
            status = excluded.status,
            total_groups = excluded.total_groups,
            synced_groups = excluded.synced_groups,
            total_members = excluded.total_members,
            error = excluded.error,
            started_at = excluded.started_at,
            updated_at = excluded.updated_at
      where started_at = ?10
        and updated_at = ?11"
);

const NOTE: &str = "
    update messaging_group_syncs
       set status = ?3,
           total_groups = ?4,
           synced_groups = ?5,
           total_members = ?6,
           error = ?7,
           updated_at = ?8
     where instance_id = ?1
       and started_at = ?2";

const STORE: &str = concat!(
    "insert into messaging_groups (",
    group_columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         on conflict (instance_id, external_group_id) do update
        set name = excluded.name,
            type = excluded.type,
            metadata = excluded.metadata,
            last_sync_at = excluded.last_sync_at,
            updated_at = max(updated_at, excluded.updated_at)
      where last_sync_at is null
         or last_sync_at <= excluded.last_sync_at
     returning id"
);

const WHO_LEFT: &str = "
    delete from messaging_group_members
     where group_id = ?1
       and identifier not in (select value from json_each(?2))";

#[async_trait]
impl GroupSyncs for SqliteGroupSyncs {
    async fn begin(&self, sync: &GroupSync, last: Option<&GroupSync>) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let begun = sqlx::query(BEGIN)
            .bind(sync.instance_id.0.hyphenated())
            .bind(sync.tenant.as_str())
            .bind(sync.status.as_str())
            .bind(sync.total_groups)
            .bind(sync.synced_groups)
            .bind(sync.total_members)
            .bind(&sync.error)
            .bind(time_text(sync.started_at))
            .bind(time_text(sync.updated_at))
            .bind(last.map(|last| time_text(last.started_at)))
            .bind(last.map(|last| time_text(last.updated_at)))
            .execute(self.database.writer())
            .await
            .map_err(translate)?;
        Ok(begun.rows_affected() > 0)
    }

    async fn note(&self, sync: &GroupSync) -> Result<bool, RepositoryError> {
        let noted = sqlx::query(NOTE)
            .bind(sync.instance_id.0.hyphenated())
            .bind(time_text(sync.started_at))
            .bind(sync.status.as_str())
            .bind(sync.total_groups)
            .bind(sync.synced_groups)
            .bind(sync.total_members)
            .bind(&sync.error)
            .bind(time_text(sync.updated_at))
            .execute(self.database.writer())
            .await
            .map_err(translate)?;
        Ok(noted.rows_affected() > 0)
    }

    async fn find(&self, tenant: &Tenant, instance: InstanceId) -> Result<Option<GroupSync>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let row = sqlx::query(concat!(
            "select ",
            sync_columns!(),
            " from messaging_group_syncs where tenant = ?1 and instance_id = ?2"
        ))
        .bind(tenant.as_str())
        .bind(instance.0.hyphenated())
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        row.as_ref().map(sync).transpose()
    }

    async fn store(&self, group: &Group, members: &[Member]) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        let stay: Vec<&str> = members.iter().map(|member| member.identifier.as_str()).collect();
        let stay = serde_json::Value::from(stay).to_string();
        let mut transaction = self.database.begin().await?;
        let stored = sqlx::query(STORE)
            .bind(group.id.0.hyphenated())
            .bind(group.tenant.as_str())
            .bind(&group.user_id)
            .bind(group.instance_id.0.hyphenated())
            .bind(&group.name)
            .bind(&group.description)
            .bind(group.kind.as_str())
            .bind(&group.external_id)
            .bind(&group.metadata)
            .bind(time_text_option(group.last_sync_at))
            .bind(time_text(group.created_at))
            .bind(time_text(group.updated_at))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(translate)?;
        let Some(stored) = stored else { return Ok(()) };
        let stored: Uuid = id(&stored, "id")?;
        sqlx::query(WHO_LEFT)
            .bind(stored.hyphenated())
            .bind(stay)
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        put(&mut transaction, GroupId(stored), members).await?;
        transaction.commit().await.map_err(translate)
    }

    async fn delete_before(&self, instance: InstanceId, since: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let deleted: Vec<String> = sqlx::query_scalar(
            "delete from messaging_groups
              where id in (select id
                             from messaging_groups
                            where instance_id = ?1
                              and is_synced
                              and last_sync_at < ?2
                            order by id
                            limit ?3)
             returning id",
        )
        .bind(instance.0.hyphenated())
        .bind(time_text(since))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
        for id in &deleted {
            sqlx::query("delete from messaging_group_members where group_id = ?1")
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(deleted.len() as u64)
    }
}
