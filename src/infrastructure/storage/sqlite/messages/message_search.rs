use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::application::ports::{Listed, MessageFilter, MessageSearch, Purposes, RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::attempt::{Attempt, AttemptOutcome};
use crate::domain::message::{Message, MessageId, MessageStatus};
use crate::infrastructure::storage::shared::{Flaws, awaits_receipt, id_of_those_before, id_of_those_since};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::portion::fitting;
use crate::infrastructure::storage::sqlite::row::{
    count_of, get, message, message_columns, messages, parsed_option, status, time_option, time_text,
};

#[derive(Clone)]
pub struct SqliteMessageSearch {
    database: SqliteDatabase,
}

impl SqliteMessageSearch {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl MessageSearch for SqliteMessageSearch {
    async fn find(&self, tenant: &Tenant, id: MessageId) -> Result<Option<(Message, Vec<Attempt>)>, RepositoryError> {
        let _place = self.database.place_to_read().await?;
        // One snapshot for both: a message never comes without the attempt that brought it where it is.
        let mut snapshot = self.database.readers().begin().await.map_err(translate)?;
        let row = sqlx::query(concat!(
            "select ",
            message_columns!(),
            " from messaging_messages
             where tenant = ?1
               and id = ?2"
        ))
        .bind(tenant.as_str())
        .bind(id.0.hyphenated())
        .fetch_optional(&mut *snapshot)
        .await
        .map_err(translate)?;
        let Some(row) = row else { return Ok(None) };
        let attempts = sqlx::query(
            "select number, started_at, finished_at, outcome, error, http_status
               from messaging_message_attempts
              where message_id = ?1
              order by number",
        )
        .bind(id.0.hyphenated())
        .fetch_all(&mut *snapshot)
        .await
        .map_err(translate)?;
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
        let mut query =
            QueryBuilder::new("with found (id) as materialized (select id from messaging_messages as messages");
        use_index(&mut query, filter);
        narrow(&mut query, tenant, filter);
        if let Some(before) = before {
            query.push(" and id < ").push_bind(before.0.hyphenated());
        }
        // One more than is listed shows whether others follow.
        query.push(" order by id desc limit ").push_bind(i64::from(limit) + 1);
        query.push(concat!(
            "),",
            fitting!("found", "found.id desc"),
            " select ",
            message_columns!(),
            ", (select count(*) from found) as count
               from messaging_messages
              where id in (select id from fitting)
              order by id desc
              limit "
        ));
        query.push_bind(limit);
        let rows = self.database.searches().find(Some(tenant), query).await?;
        let found: u64 = rows.first().map_or(Ok(0), |row| get(row, "count"))?;
        Ok(Listed { messages: messages(&rows), more: found > rows.len() as u64 })
    }

    async fn count(&self, tenant: &Tenant, filter: &MessageFilter) -> Result<HashMap<MessageStatus, u64>, SearchError> {
        let mut query = QueryBuilder::new("select status, ");
        if filter.selects_all_sent() {
            query.push("count from messaging_message_counts where count > 0 and tenant = ");
            query.push_bind(tenant.as_str().to_owned());
        } else {
            query.push("count(*) as count from messaging_messages as messages");
            use_index(&mut query, filter);
            narrow(&mut query, tenant, filter);
            query.push(" group by status");
        }
        let rows = self.database.searches().find(Some(tenant), query).await?;
        rows.iter().map(|row| Ok((status(row, "status")?, get(row, "count")?))).collect()
    }

    async fn count_open(&self, tenant: Option<&Tenant>) -> Result<u64, RepositoryError> {
        let row = sqlx::query(
            "select coalesce(sum(count), 0) as count
               from messaging_message_counts
              where status in ('pending', 'queued', 'processing')
                and (?1 is null or tenant = ?1)",
        )
        .bind(tenant.map(Tenant::as_str))
        .fetch_one(self.database.readers())
        .await
        .map_err(translate)?;
        get(&row, "count")
    }

    async fn count_all(&self) -> Result<HashMap<MessageStatus, u64>, RepositoryError> {
        let rows = sqlx::query(
            "select status, sum(count) as count
               from messaging_message_counts
              group by status",
        )
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        rows.iter().map(|row| Ok((status(row, "status")?, get(row, "count")?))).collect()
    }
}

/// What is stuck is among what waits for a receipt: the rest of the history is not looked at.
fn use_index(query: &mut QueryBuilder<Sqlite>, filter: &MessageFilter) {
    if filter.stuck.is_some() {
        query.push(" indexed by messaging_messages_awaiting_receipts");
    }
}

fn narrow(query: &mut QueryBuilder<Sqlite>, tenant: &Tenant, filter: &MessageFilter) {
    query.push(" where tenant = ").push_bind(tenant.as_str().to_owned());
    // In the text, for the indexes of them.
    match filter.purposes {
        Purposes::Own => _ = query.push(" and purpose is null"),
        Purposes::Of(purpose) => _ = query.push(format!(" and purpose = '{}'", purpose.as_str())),
        Purposes::Any => {}
    }
    if let Some(direction) = filter.direction {
        // In the text, for the index of what was received.
        query.push(format!(" and direction = '{}'", direction.as_str()));
    }
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status.as_str());
    }
    if filter.is_scheduled {
        query.push(" and next_attempt_at = send_at");
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
    if let Some(stuck) = &filter.stuck {
        query.push(concat!(" and ", awaits_receipt!(), " and (false"));
        for stuck in stuck {
            query.push(" or (channel = ").push_bind(stuck.channel.as_str().to_owned());
            query.push(" and sent_at < ").push_bind(time_text(stuck.sent_before)).push(")");
        }
        query.push(")");
    }
    if let Some(after) = filter.created_after {
        // For the index; `created_at` is in none.
        query.push(" and id >= ").push_bind(id_of_those_since(after).hyphenated());
        query.push(" and created_at >= ").push_bind(time_text(after));
    }
    if let Some(before) = filter.created_before {
        query.push(" and id < ").push_bind(id_of_those_before(before).hyphenated());
        query.push(" and created_at < ").push_bind(time_text(before));
    }
}

/// An attempt, without what cannot be read.
fn attempt(row: &SqliteRow) -> Attempt {
    Attempt {
        number: count_of(row, "number", &mut Flaws::default()),
        started_at: time_option(row, "started_at").unwrap_or_default(),
        finished_at: time_option(row, "finished_at").unwrap_or_default(),
        outcome: parsed_option(row, "outcome", AttemptOutcome::parse).unwrap_or_default(),
        error: get(row, "error").unwrap_or_default(),
        http_status: get(row, "http_status").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row};

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::instance::channel::ChannelName;
    use crate::domain::message::Direction;
    use crate::domain::receipt::StuckSince;

    /// Each narrows the search to what lies side by side in an index, newest first.
    #[tokio::test]
    async fn every_filter_has_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
        database.migrate().await.unwrap();
        let none = MessageFilter::default;
        let after = Some("2026-11-23T12:00:00Z".parse().unwrap());
        let before = Some("2026-11-24T12:00:00Z".parse().unwrap());
        let filters = [
            (MessageFilter { created_after: after, ..none() }, "by_tenant (tenant=? AND id>?)"),
            (MessageFilter { created_before: before, ..none() }, "by_tenant (tenant=? AND id<?)"),
            (
                MessageFilter { direction: Some(Direction::Received), created_after: after, ..none() },
                "received (tenant=? AND id>?)",
            ),
            (
                MessageFilter { status: Some(MessageStatus::Queued), created_after: after, ..none() },
                "by_status (tenant=? AND status=? AND id>?)",
            ),
            (
                MessageFilter { channel: Some(ChannelName::new("webhook")), ..none() },
                "by_channel (tenant=? AND channel=?)",
            ),
            (
                MessageFilter { channel_instance_id: Some("shop".to_owned()), ..none() },
                "by_instance (tenant=? AND channel_instance_id=?)",
            ),
            (
                MessageFilter { recipient: Some("5585999999999".to_owned()), ..none() },
                "by_recipient (tenant=? AND remote_jid=?)",
            ),
        ];
        for (filter, index) in filters {
            let mut query = QueryBuilder::new("explain query plan select * from messaging_messages as messages");
            use_index(&mut query, &filter);
            narrow(&mut query, &Tenant::new("acme").unwrap(), &filter);
            query.push(" order by id desc limit 10");
            let plan = sqlx::raw_sql(AssertSqlSafe(query.into_string())).fetch_all(database.readers()).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            assert_eq!(plan, [format!("SEARCH messages USING INDEX messaging_messages_{index}")]);
        }
    }

    #[tokio::test]
    async fn what_is_stuck_is_found_among_what_waits_for_a_receipt() {
        let directory = tempfile::tempdir().unwrap();
        let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
        database.migrate().await.unwrap();
        let since = StuckSince { channel: ChannelName::new("whatsapp_oficial"), sent_before: Timestamp::UNIX_EPOCH };
        let stuck = MessageFilter { status: Some(MessageStatus::Sent), stuck: Some(vec![since]), ..Default::default() };
        let of_one = MessageFilter { channel_instance_id: Some("shop".to_owned()), ..stuck.clone() };
        for filter in [stuck, of_one] {
            let mut query = QueryBuilder::new("explain query plan select id from messaging_messages as messages");
            use_index(&mut query, &filter);
            narrow(&mut query, &Tenant::new("acme").unwrap(), &filter);
            query.push(" order by id desc limit 10");
            let plan = sqlx::raw_sql(AssertSqlSafe(query.into_string())).fetch_all(database.readers()).await.unwrap();
            let first: &str = plan[0].get("detail");
            assert!(first.contains("messaging_messages_awaiting_receipts (tenant=?"), "{first}");
        }
    }
}
