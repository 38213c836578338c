use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, Postgres, QueryBuilder};

use super::counts::{self, count};
use crate::application::ports::{Listed, MessageFilter, MessageSearch, RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::attempt::{Attempt, AttemptOutcome};
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{
    count_of, get, message, message_columns, messages, number_option, parsed_option, status, time_option,
};
use crate::infrastructure::storage::shared::{Flaws, id_of_those_since};

#[derive(Clone)]
pub struct PgMessageSearch {
    database: PgDatabase,
}

impl PgMessageSearch {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
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
        let mut query = QueryBuilder::new("with found (id) as (select id from messaging_messages");
        narrow(&mut query, tenant, filter);
        if let Some(before) = before {
            query.push(" and id < ").push_bind(before.0);
        }
        // One more than is listed shows whether others follow.
        query.push(" order by id desc limit ").push_bind(i64::from(limit) + 1);
        query.push(concat!(
            "),",
            fitting!("found", "found.id desc"),
            " select messages.*, (select count(*) from found) as count
               from fitting
              cross join lateral (
                        select ",
            message_columns!(),
            "
                          from messaging_messages
                         where id = fitting.id
                         order by id
                         limit 1) as messages
              order by messages.id desc
              limit "
        ));
        query.push_bind(i64::from(limit));
        let rows = self.database.searches.find(query).await?;
        let found = rows.first().map_or(Ok(0), count)?;
        Ok(Listed { messages: messages(&rows), more: found > rows.len() as u64 })
    }

    async fn count(&self, tenant: &Tenant, filter: &MessageFilter) -> Result<HashMap<MessageStatus, u64>, SearchError> {
        if filter.selects_all() {
            return counts::of_tenant(&self.database, tenant).await;
        }
        let mut query = QueryBuilder::new("select status, count(*) as count from messaging_messages");
        narrow(&mut query, tenant, filter);
        query.push(" group by status");
        let rows = self.database.searches.find(query).await?;
        rows.iter().map(|row| Ok((status(row, "status")?, count(row)?))).collect()
    }

    async fn count_open(&self) -> Result<u64, RepositoryError> {
        counts::open(&self.database).await
    }
}

fn narrow(query: &mut QueryBuilder<Postgres>, tenant: &Tenant, filter: &MessageFilter) {
    query.push(" where tenant = ").push_bind(tenant.as_str().to_owned());
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status.as_str());
    }
    if let Some(channel) = &filter.channel {
        query.push(" and channel = ").push_bind(channel.as_str().to_owned());
    }
    if let Some(channel_instance_id) = &filter.channel_instance_id {
        query.push(" and channel_instance_id = ").push_bind(channel_instance_id.clone());
    }
    if let Some(recipient) = &filter.recipient {
        query.push(" and remote_jid = ").push_bind(recipient.clone());
    }
    if let Some(after) = filter.created_after {
        // For the partitions and the index; `created_at` is in none.
        query.push(" and id >= ").push_bind(id_of_those_since(after));
        query.push(" and created_at >= ").push_bind(after);
    }
    if let Some(before) = filter.created_before {
        query.push(" and created_at < ").push_bind(before);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_is_narrowed_by_time_reads_no_older_week() {
        let filter =
            MessageFilter { created_after: Some("2026-11-23T12:00:00Z".parse().unwrap()), ..MessageFilter::default() };
        let mut query = QueryBuilder::new("select from messaging_messages");
        narrow(&mut query, &Tenant::new("acme").unwrap(), &filter);
        let expected = "select from messaging_messages where tenant = $1 and id >= $2 and created_at >= $3";
        assert_eq!(query.into_string(), expected);
    }
}
