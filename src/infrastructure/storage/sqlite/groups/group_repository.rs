use async_trait::async_trait;
use sqlx::QueryBuilder;

use crate::application::ports::{GroupRepository, ListedGroups, RepositoryError, SearchError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::group::{Group, GroupChange, GroupDescription, GroupId, GroupName};
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::shared::groups::{group, group_columns};
use crate::infrastructure::storage::shared::rows::readable;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{count_of_found, id_list, time_text, time_text_option};

#[derive(Clone)]
pub struct SqliteGroupRepository {
    database: SqliteDatabase,
}

impl SqliteGroupRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

const UPDATE: &str = concat!(
    "update messaging_groups
        set name = coalesce(?3, name),
            description = iif(?4, ?5, description),
            updated_at = max(updated_at, ?6)
      where tenant = ?1
        and id = ?2
     returning ",
    group_columns!()
);

/// The groups of the table `found` that fit into an answer, and how many were found.
const LISTED: &str = "
    ), fitting as (
         select id
           from (select id,
                        row_number() over (order by id) as place,
                        coalesce(sum(bytes) over (order by id rows between unbounded preceding and 1 preceding), 0) as before
                   from found)
          where before < 16777216
            and place <= ";
const OF_THEM: &str = concat!(
    ")
     select (select count(*) from found) as count, ",
    group_columns!(),
    " from messaging_groups
      where id in (select id from fitting)
      order by id"
);

#[async_trait]
impl GroupRepository for SqliteGroupRepository {
    async fn insert(&self, group: &Group) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        sqlx::query(concat!(
            "insert into messaging_groups (",
            group_columns!(),
            ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        ))
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
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(())
    }

    async fn find(&self, tenant: &Tenant, id: GroupId) -> Result<Option<Group>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        let row =
            sqlx::query(concat!("select ", group_columns!(), " from messaging_groups where tenant = ?1 and id = ?2"))
                .bind(tenant.as_str())
                .bind(id.0.hyphenated())
                .fetch_optional(self.database.readers())
                .await
                .map_err(translate)?;
        row.as_ref().map(group).transpose()
    }

    async fn list(
        &self,
        tenant: &Tenant,
        instance: Option<InstanceId>,
        after: Option<GroupId>,
        limit: u32,
    ) -> Result<ListedGroups, SearchError> {
        let mut query = QueryBuilder::new(
            "with found as (
                 select id,
                        octet_length(name) + coalesce(octet_length(description), 0)
                            + coalesce(octet_length(metadata), 0) + 512 as bytes
                   from messaging_groups
                  where tenant = ",
        );
        query.push_bind(tenant.as_str().to_owned());
        if let Some(instance) = instance {
            query.push(" and instance_id = ").push_bind(instance.0.hyphenated());
        }
        if let Some(after) = after {
            query.push(" and id > ").push_bind(after.0.hyphenated());
        }
        query.push(" order by id limit ").push_bind(i64::from(limit) + 1);
        query.push(LISTED).push_bind(i64::from(limit)).push(OF_THEM);
        let rows = self.database.searches().find(Some(tenant), query).await?;
        let more = count_of_found(&rows)? > rows.len() as i64;
        Ok(ListedGroups { groups: readable(&rows, group), more })
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: GroupId,
        change: &GroupChange,
        now: Timestamp,
    ) -> Result<Option<Group>, RepositoryError> {
        self.database.is_in_its_place()?;
        let row = sqlx::query(UPDATE)
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .bind(change.name.as_ref().map(GroupName::as_str))
            .bind(change.description.is_some())
            .bind(change.description.as_ref().and_then(Option::as_ref).map(GroupDescription::as_str))
            .bind(time_text(now))
            .fetch_optional(self.database.writer())
            .await
            .map_err(translate)?;
        row.as_ref().map(group).transpose()
    }

    async fn delete(&self, tenant: &Tenant, id: GroupId) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let deleted = sqlx::query("delete from messaging_groups where tenant = ?1 and id = ?2")
            .bind(tenant.as_str())
            .bind(id.0.hyphenated())
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("delete from messaging_group_members where group_id = ?1")
            .bind(id.0.hyphenated())
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(true)
    }

    async fn delete_of(&self, instances: &[InstanceId], limit: u32) -> Result<u64, RepositoryError> {
        let instances = id_list(instances.iter().map(|instance| instance.0));
        let mut transaction = self.database.begin().await?;
        let deleted: Vec<String> = sqlx::query_scalar(
            "delete from messaging_groups
              where id in (select id
                             from messaging_groups
                            where instance_id in (select value from json_each(?1))
                            limit ?2)
             returning id",
        )
        .bind(&instances)
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
        sqlx::query("delete from messaging_group_syncs where instance_id in (select value from json_each(?1))")
            .bind(&instances)
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(deleted.len() as u64)
    }
}
