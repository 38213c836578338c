use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, QueryBuilder, Row as _};

use crate::application::ports::{Added, GroupMembers, ListedMembers, RepositoryError, SearchError};
use crate::domain::group::GroupId;
use crate::domain::group::member::{MOST_MEMBERS, Member, MemberId};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::count_of_found;
use crate::infrastructure::storage::shared::groups::{member, member_columns};
use crate::infrastructure::storage::shared::rows::readable;

#[derive(Clone)]
pub struct PgGroupMembers {
    database: PgDatabase,
}

impl PgGroupMembers {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

const PUT: &str = concat!(
    "insert into messaging_group_members (",
    member_columns!(),
    ")
     select unnest($2::uuid[]), $1, unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::text[])::json,
            unnest($7::boolean[]), unnest($8::timestamptz[])
         on conflict (group_id, identifier) do update
        set identifier_type = excluded.identifier_type,
            name = coalesce(excluded.name, messaging_group_members.name),
            metadata = coalesce(excluded.metadata, messaging_group_members.metadata),
            is_active = excluded.is_active
     returning ",
    member_columns!()
);

/// Puts members into a group, in order of their identifiers: two statements in different order deadlock.
pub(super) async fn put(
    connection: &mut PgConnection,
    group: GroupId,
    members: &[Member],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_unstable_by_key(|member| member.identifier.as_str());
    fn column<'m, T>(members: &[&'m Member], value: impl Fn(&'m Member) -> T) -> Vec<T> {
        members.iter().map(|member| value(member)).collect()
    }
    sqlx::query(PUT)
        .bind(group.0)
        .bind(column(&members, |it| it.id.0))
        .bind(column(&members, |it| it.identifier.as_str()))
        .bind(column(&members, |it| it.identifier.kind().as_str()))
        .bind(column(&members, |it| it.name.as_deref()))
        .bind(column(&members, |it| it.metadata.as_deref()))
        .bind(column(&members, |it| it.is_active))
        .bind(column(&members, |it| it.added_at))
        .fetch_all(connection)
        .await
}

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
    member_columns!(),
    " from messaging_group_members
      where id in (select id from fitting)
      order by id"
);

#[async_trait]
impl GroupMembers for PgGroupMembers {
    async fn add(&self, group: GroupId, members: &[Member]) -> Result<Option<Vec<Added>>, RepositoryError> {
        let work = async |connection: &mut PgConnection| {
            let mut transaction = connection.begin().await?;
            // The group is the lock: of two that fill it, the second sees what the first has added.
            let found = sqlx::query("select from messaging_groups where id = $1 for no key update")
                .bind(group.0)
                .fetch_optional(&mut *transaction)
                .await?;
            if found.is_none() {
                return Ok(None);
            }
            let rows = put(&mut transaction, group, members).await?;
            let count = sqlx::query("select count(*) as count from messaging_group_members where group_id = $1")
                .bind(group.0)
                .fetch_one(&mut *transaction)
                .await?;
            if count.try_get::<i64, _>("count")? > i64::from(MOST_MEMBERS) {
                transaction.rollback().await?;
                return Ok(None);
            }
            transaction.commit().await?;
            Ok(Some(rows))
        };
        let Some(rows) = self.database.run(work).await? else { return Ok(None) };
        let now: HashMap<String, Member> = rows
            .iter()
            .map(|row| member(row).map(|member| (member.identifier.as_str().to_owned(), member)))
            .collect::<Result<_, _>>()?;
        let added = members.iter().filter_map(|given| {
            let member = now.get(given.identifier.as_str())?.clone();
            Some(Added { is_new: member.id == given.id, member })
        });
        Ok(Some(added.collect()))
    }

    async fn list(&self, group: GroupId, after: Option<MemberId>, limit: u32) -> Result<ListedMembers, SearchError> {
        let mut query = QueryBuilder::new(
            "with found as (
                 select id,
                        octet_length(identifier) + coalesce(octet_length(name), 0)
                            + coalesce(octet_length(metadata::text), 0) + 64 as bytes
                   from messaging_group_members
                  where group_id = ",
        );
        query.push_bind(group.0);
        if let Some(after) = after {
            query.push(" and id > ").push_bind(after.0);
        }
        query.push(" order by id limit ").push_bind(i64::from(limit) + 1);
        query.push(LISTED).push_bind(i64::from(limit)).push(OF_THEM);
        let rows = self.database.searches.begin(None).await?.find_planned(query).await?;
        let more = count_of_found(&rows)? > rows.len() as i64;
        Ok(ListedMembers { members: readable(&rows, member), more })
    }

    async fn remove(&self, group: GroupId, identifier: &str) -> Result<bool, RepositoryError> {
        let query = sqlx::query("delete from messaging_group_members where group_id = $1 and identifier = $2")
            .bind(group.0)
            .bind(identifier);
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() > 0)
    }
}
