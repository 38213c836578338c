use async_trait::async_trait;
use sqlx::{Connection, QueryBuilder};
use uuid::Uuid;

use crate::application::ports::{GroupRepository, ListedGroups, RepositoryError, SearchError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::group::{Group, GroupChange, GroupDescription, GroupId, GroupName};
use crate::domain::instance::InstanceId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{count_of_found, only};
use crate::infrastructure::storage::shared::groups::{group, group_columns};
use crate::infrastructure::storage::shared::rows::readable;

#[derive(Clone)]
pub struct PgGroupRepository {
    database: PgDatabase,
}

impl PgGroupRepository {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const UPDATE: &str = concat!(
    "update messaging_groups
        set name = coalesce($3, name),
            description = case when $4 then $5 else description end,
            updated_at = greatest(updated_at, $6)
      where tenant = $1
        and id = $2
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
                   from found) as sized
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
impl GroupRepository for PgGroupRepository {
    async fn insert(&self, group: &Group) -> Result<(), RepositoryError> {
        let query = sqlx::query(concat!(
            "insert into messaging_groups (",
            group_columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10, $11, $12)"
        ))
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
        .bind(group.updated_at);
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find(&self, tenant: &Tenant, id: GroupId) -> Result<Option<Group>, RepositoryError> {
        let query =
            sqlx::query(concat!("select ", group_columns!(), " from messaging_groups where tenant = $1 and id = $2"))
                .bind(tenant.as_str())
                .bind(id.0);
        let row = self.database.read(async |connection| query.fetch_optional(connection).await).await?;
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
                            + coalesce(octet_length(metadata::text), 0) + 512 as bytes
                   from messaging_groups
                  where tenant = ",
        );
        query.push_bind(tenant.as_str().to_owned());
        if let Some(instance) = instance {
            query.push(" and instance_id = ").push_bind(instance.0);
        }
        if let Some(after) = after {
            query.push(" and id > ").push_bind(after.0);
        }
        query.push(" order by id limit ").push_bind(i64::from(limit) + 1);
        query.push(LISTED).push_bind(i64::from(limit)).push(OF_THEM);
        let rows = self.database.searches.begin(Some(tenant)).await?.find_planned(query).await?;
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
        let query = sqlx::query(UPDATE)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(change.name.as_ref().map(GroupName::as_str))
            .bind(change.description.is_some())
            .bind(change.description.as_ref().and_then(Option::as_ref).map(GroupDescription::as_str))
            .bind(now);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        only(rows).as_ref().map(group).transpose()
    }

    async fn delete(&self, tenant: &Tenant, id: GroupId) -> Result<bool, RepositoryError> {
        let query =
            sqlx::query("delete from messaging_groups where tenant = $1 and id = $2").bind(tenant.as_str()).bind(id.0);
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn delete_of(&self, instances: &[InstanceId], limit: u32) -> Result<u64, RepositoryError> {
        let instances: Vec<Uuid> = instances.iter().map(|instance| instance.0).collect();
        let work = async |connection: &mut sqlx::PgConnection| {
            let mut transaction = connection.begin().await?;
            sqlx::query("delete from messaging_group_syncs where instance_id = any($1)")
                .bind(&instances)
                .execute(&mut *transaction)
                .await?;
            let deleted = sqlx::query(
                "delete from messaging_groups
                  where id in (select id
                                 from messaging_groups
                                where instance_id = any($1)
                                limit $2)",
            )
            .bind(&instances)
            .bind(i64::from(limit))
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(deleted.rows_affected())
        };
        self.database.run(work).await
    }
}
