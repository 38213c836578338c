use std::collections::HashMap;
use std::time::Instant;
use std::vec::IntoIter;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, QueryBuilder};
use uuid::Uuid;

use super::counts::{self, count};
use super::matching::{Page, Wanted, narrow};
use crate::application::ports::{Listed, MessageFilter, MessageSearch, RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::attempt::{Attempt, AttemptOutcome};
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{
    count_of, get, message, message_columns, messages, number_option, parsed_option, status, time_option,
};
use crate::infrastructure::storage::shared::Flaws;

#[derive(Clone)]
pub struct PgMessageSearch {
    database: PgDatabase,
}

impl PgMessageSearch {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

/// What is left to be searched, and until when.
struct Parts {
    parts: IntoIter<Page>,
    until: Instant,
}

impl Parts {
    fn next(&mut self) -> Result<Option<Page>, SearchError> {
        match self.parts.next() {
            Some(_) if Instant::now() > self.until => Err(SearchError::TooLong),
            next => Ok(next),
        }
    }
}

#[async_trait]
impl MessageSearch for PgMessageSearch {
    async fn find(&self, tenant: &Tenant, id: MessageId) -> Result<Option<(Message, Vec<Attempt>)>, RepositoryError> {
        let one = sqlx::query(concat!(
            "select ",
            message_columns!(),
            " from messaging_messages
             where tenant = $1
               and id = $2"
        ))
        .bind(tenant.as_str())
        .bind(id.0);
        let recorded = sqlx::query(
            "select number, started_at, finished_at, outcome, error, http_status
               from messaging_message_attempts
              where message_id = $1
              order by number",
        )
        .bind(id.0);
        // One snapshot for both: a message never comes without the attempt that brought it where it is.
        let (row, attempts) = self
            .database
            .run(async |connection| {
                let mut snapshot = connection.begin_with("begin isolation level repeatable read read only").await?;
                let row = one.fetch_optional(&mut *snapshot).await?;
                let attempts = recorded.fetch_all(&mut *snapshot).await?;
                snapshot.commit().await?;
                Ok((row, attempts))
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let attempts = attempts.iter().map(attempt).collect();
        Ok(Some((message(&row)?, attempts)))
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &MessageFilter,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Listed, SearchError> {
        let mut found = Vec::new();
        // One more than is listed shows whether others follow.
        let mut missing = limit.saturating_add(1);
        let mut parts = self.parts(filter, before).await?;
        while missing > 0
            && let Some(page) = parts.next()?
        {
            let ids = Wanted { tenant, filter, page, limit: missing.into() }.ids();
            for row in self.database.searches.find(ids).await? {
                found.push(get::<Uuid>(&row, "id")?);
                missing = missing.saturating_sub(1);
            }
        }
        let is_more = missing == 0;
        if is_more {
            found.pop();
        }
        let listed = self.content(&found).await?;
        Ok(Listed { more: is_more || listed.len() < found.len(), messages: listed })
    }

    async fn count(&self, tenant: &Tenant, filter: &MessageFilter) -> Result<HashMap<MessageStatus, u64>, SearchError> {
        if filter.selects_all() {
            return counts::of_tenant(&self.database, tenant).await;
        }
        let mut counts = HashMap::new();
        let mut parts = self.parts(filter, None).await?;
        while let Some(page) = parts.next()? {
            let mut query =
                QueryBuilder::new("select status, count(*) as count from messaging_messages where tenant = ");
            query.push_bind(tenant.as_str().to_owned());
            narrow(&mut query, filter, &page);
            query.push(" group by status");
            for row in self.database.searches.find(query).await? {
                *counts.entry(status(&row, "status")?).or_default() += count(&row)?;
            }
        }
        Ok(counts)
    }

    async fn count_open(&self) -> Result<u64, RepositoryError> {
        counts::open(&self.database).await
    }
}

impl PgMessageSearch {
    /// In the parts in which it is searched.
    async fn parts(&self, filter: &MessageFilter, before: Option<MessageId>) -> Result<Parts, SearchError> {
        let began = Instant::now();
        let weeks = QueryBuilder::new(
            "select bounds[1]::uuid as id
               from pg_inherits
               join pg_class
                 on pg_class.oid = pg_inherits.inhrelid
              cross join lateral regexp_match(
                    pg_get_expr(pg_class.relpartbound, pg_class.oid), 'FROM \\(''([0-9a-f-]{36})''\\)') as bounds
              where pg_inherits.inhparent = 'messaging_messages'::regclass
                and bounds is not null",
        );
        let weeks = self.database.searches.find(weeks).await?;
        let weeks = weeks.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        let mut parts = Page::before(before).parts(weeks);
        parts.retain(|part| part.may_match(filter));
        Ok(Parts { parts: parts.into_iter(), until: began + self.database.searches.patience() })
    }

    /// Of these messages, newest first, as many of the first as may be read at once; as they are now.
    async fn content(&self, ids: &[Uuid]) -> Result<Vec<Message>, SearchError> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let mut query = QueryBuilder::new("with found (id) as (select unnest(");
        query.push_bind(ids.to_vec()).push("::uuid[])), bounds (least, greatest) as (select ");
        query.push_bind(*last).push("::uuid, ").push_bind(*first);
        query.push(concat!(
            "::uuid),",
            fitting!("found", "found.id desc", "messages.id between $2 and $3 and "),
            " select messages.*
               from fitting
              cross join lateral (
                        select ",
            message_columns!(),
            "
                          from messaging_messages
                         where id between $2 and $3
                           and id = fitting.id
                         order by id
                         limit 1) as messages
              order by messages.id desc"
        ));
        let rows = self.database.searches.find(query).await?;
        Ok(messages(&rows))
    }
}

/// An attempt, without what cannot be read.
fn attempt(row: &PgRow) -> Attempt {
    Attempt {
        number: count_of(row, "number", &mut Flaws::default()),
        started_at: time_option(row, "started_at").unwrap_or_default(),
        finished_at: time_option(row, "finished_at").unwrap_or_default(),
        outcome: parsed_option(row, "outcome", AttemptOutcome::parse).unwrap_or_default(),
        error: get(row, "error").unwrap_or_default(),
        http_status: number_option(row, "http_status").unwrap_or_default(),
    }
}
