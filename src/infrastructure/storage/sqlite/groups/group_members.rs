use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::{QueryBuilder, Sqlite, Transaction};

use crate::application::ports::{Added, GroupMembers, ListedMembers, RepositoryError, SearchError};
use crate::domain::group::GroupId;
use crate::domain::group::member::{MOST_MEMBERS, Member, MemberId};
use crate::infrastructure::storage::shared::groups::{member, member_columns};
use crate::infrastructure::storage::shared::rows::readable;
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

/// Members in one statement.
const AT_ONCE: usize = 1_000;

const PUT: &str = concat!(
    "insert into messaging_group_members (",
    member_columns!(),
    ") select value ->> 0, ?1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
         from json_each(?2)
        where true
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
    let mut now: HashMap<String, Member> = HashMap::with_capacity(members.len());
    for portion in members.chunks(AT_ONCE) {
        let rows = sqlx::query(PUT)
            .bind(group.0.hyphenated())
            .bind(Value::from_iter(portion.iter().map(written)).to_string())
            .fetch_all(&mut **transaction)
            .await
            .map_err(translate)?;
        for row in &rows {
            let member = member(row)?;
            now.insert(member.identifier.as_str().to_owned(), member);
        }
    }
    let gone = || RepositoryError::Corrupt("a member was not written".to_owned());
    members.iter().map(|given| now.get(given.identifier.as_str()).cloned().ok_or_else(gone)).collect()
}

fn written(member: &Member) -> Value {
    json!([
        member.id.0.hyphenated().to_string(),
        member.identifier.as_str(),
        member.identifier.kind().as_str(),
        member.name,
        member.metadata,
        member.is_active,
        time_text(member.added_at),
    ])
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
        let rows = self.database.searches().find(None, query).await?;
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
