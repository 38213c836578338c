use async_trait::async_trait;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use crate::application::ports::{Added, GroupMembers, ListedMembers, RepositoryError, SearchError};
use crate::domain::group::GroupId;
use crate::domain::group::member::{MOST_MEMBERS, Member, MemberId};
use crate::infrastructure::storage::shared::groups::{member, member_columns, readable};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{count_of_found, time_text};

#[derive(Clone)]
pub struct SqliteGroupMembers {
    database: SqliteDatabase,
}

impl SqliteGroupMembers {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

const PUT: &str = concat!(
    "insert into messaging_group_members (",
    member_columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         on conflict (group_id, identifier) do update
        set identifier_type = excluded.identifier_type,
            name = coalesce(excluded.name, name),
            metadata = coalesce(excluded.metadata, metadata),
            is_active = excluded.is_active
     returning ",
    member_columns!()
);

/// Puts members into a group; each as it is there then, in the same order.
pub(super) async fn put(
    transaction: &mut Transaction<'static, Sqlite>,
    group: GroupId,
    members: &[Member],
) -> Result<Vec<Member>, RepositoryError> {
    let mut put = Vec::with_capacity(members.len());
    for given in members {
        let row = sqlx::query(PUT)
            .bind(given.id.0.hyphenated())
            .bind(group.0.hyphenated())
            .bind(given.identifier.as_str())
            .bind(given.identifier.kind().as_str())
            .bind(&given.name)
            .bind(&given.metadata)
            .bind(given.is_active)
            .bind(time_text(given.added_at))
            .fetch_one(&mut **transaction)
            .await
            .map_err(translate)?;
        put.push(member(&row)?);
    }
    Ok(put)
}

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
    member_columns!(),
    " from messaging_group_members
      where id in (select id from fitting)
      order by id"
);

#[async_trait]
impl GroupMembers for SqliteGroupMembers {
    async fn add(&self, group: GroupId, members: &[Member]) -> Result<Option<Vec<Added>>, RepositoryError> {
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let is_there: bool = sqlx::query_scalar("select exists (select 1 from messaging_groups where id = ?1)")
            .bind(group.0.hyphenated())
            .fetch_one(&mut *transaction)
            .await
            .map_err(translate)?;
        if !is_there {
            return Ok(None);
        }
        let put = put(&mut transaction, group, members).await?;
        let count: i64 = sqlx::query_scalar("select count(*) from messaging_group_members where group_id = ?1")
            .bind(group.0.hyphenated())
            .fetch_one(&mut *transaction)
            .await
            .map_err(translate)?;
        if count > i64::from(MOST_MEMBERS) {
            return Ok(None);
        }
        transaction.commit().await.map_err(translate)?;
        let added = put.into_iter().zip(members);
        Ok(Some(added.map(|(member, given)| Added { is_new: member.id == given.id, member }).collect()))
    }

    async fn list(&self, group: GroupId, after: Option<MemberId>, limit: u32) -> Result<ListedMembers, SearchError> {
        let mut query = QueryBuilder::new(
            "with found as (
                 select id,
                        octet_length(identifier) + coalesce(octet_length(name), 0)
                            + coalesce(octet_length(metadata), 0) + 64 as bytes
                   from messaging_group_members
                  where group_id = ",
        );
        query.push_bind(group.0.hyphenated());
        if let Some(after) = after {
            query.push(" and id > ").push_bind(after.0.hyphenated());
        }
        query.push(" order by id limit ").push_bind(i64::from(limit) + 1);
        query.push(LISTED).push_bind(i64::from(limit)).push(OF_THEM);
        let rows = self.database.searches().find(query).await?;
        let more = count_of_found(&rows)? > rows.len() as i64;
        Ok(ListedMembers { members: readable(&rows, member), more })
    }

    async fn remove(&self, group: GroupId, identifier: &str) -> Result<bool, RepositoryError> {
        self.database.is_in_its_place()?;
        let deleted = sqlx::query("delete from messaging_group_members where group_id = ?1 and identifier = ?2")
            .bind(group.0.hyphenated())
            .bind(identifier)
            .execute(self.database.writer())
            .await
            .map_err(translate)?;
        Ok(deleted.rows_affected() > 0)
    }
}
