use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Connection, QueryBuilder};
use uuid::Uuid;

use super::counts::{self, count, uncounted_changes};
use super::matching::{OpenOnes, Wanted, many, narrowed, open_of_all};
use super::page::Page;
use crate::application::ports::{Listed, MessageFilter, MessageSearch, Purposes, RepositoryError, SearchError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::attempt::{Attempt, AttemptOutcome};
use crate::domain::message::{Direction, Message, MessageId, MessageStatus};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::Search;
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

/// What is to be searched.
struct Parts {
    parts: Vec<Page>,
    /// Whether every week has its indexes.
    are_indexed: bool,
    /// None: the tenant has no open messages.
    open: Option<Open>,
}

/// What a tenant has since the week of its oldest open message.
struct Open {
    since: Uuid,
    /// How many messages, whatever their states.
    own: i64,
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
            .read(async |connection| {
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
        let filter = &narrowed(filter);
        let search = self.database.searches.begin(Some(tenant)).await?;
        let mut found = Vec::new();
        // One more than is listed shows whether others follow.
        let mut missing = limit.saturating_add(1);
        let Parts { parts, are_indexed, open } = parts(&search, tenant, filter, before).await?;
        let is_rare = are_indexed && Wanted::is_rare(filter);
        // What is frequent is among them.
        let mut is_sought_among_the_newest = !Wanted::is_of_a_state(filter);
        for page in parts {
            let asks_for_open = is_rare && Wanted::may_be_open(filter);
            let open = if asks_for_open { open_ones(&search, open.as_ref(), &page).await? } else { OpenOnes::OfAll };
            if open == OpenOnes::None && filter.status.is_some_and(MessageStatus::is_open) {
                continue;
            }
            let wanted = Wanted { tenant, filter, page, limit: missing.into(), open };
            if is_rare && std::mem::take(&mut is_sought_among_the_newest) {
                let newest = search.find(wanted.ids_among_the_newest()).await?;
                if newest.len() as u64 == u64::from(missing) {
                    found = newest.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
                    missing = 0;
                    break;
                }
            }
            let ids = if is_rare { wanted.ids() } else { wanted.ids_by_walking() };
            for row in search.find(ids).await? {
                found.push(get::<Uuid>(&row, "id")?);
                missing = missing.saturating_sub(1);
            }
            if missing == 0 {
                break;
            }
        }
        let is_more = missing == 0;
        if is_more {
            found.pop();
        }
        let listed = content(&search, &found).await?;
        Ok(Listed { more: is_more || listed.len() < found.len(), messages: listed })
    }

    async fn count(&self, tenant: &Tenant, filter: &MessageFilter) -> Result<HashMap<MessageStatus, u64>, SearchError> {
        if filter.selects_all_sent() {
            return counts::of_tenant(&self.database, tenant).await;
        }
        let filter = &narrowed(filter);
        let search = self.database.searches.begin(Some(tenant)).await?;
        let (mut counts, mut taken_off) = (HashMap::<MessageStatus, u64>::new(), HashMap::<MessageStatus, u64>::new());
        let Parts { parts, are_indexed, open } = parts(&search, tenant, filter, None).await?;
        let is_counted_by_index = are_indexed && Wanted::is_counted_by_index(filter);
        // The index tells no directions: what was received has one of its own, and is taken off.
        let received =
            MessageFilter { direction: Some(Direction::Received), purposes: Purposes::Any, ..filter.clone() };
        let both = MessageFilter { direction: None, ..filter.clone() };
        let takes_off = is_counted_by_index && filter.direction == Some(Direction::Sent);
        let filter = if takes_off { &both } else { filter };
        for page in parts {
            if takes_off {
                let wanted = Wanted { tenant, filter: &received, page, limit: 0, open: OpenOnes::None };
                for row in search.find_planned(wanted.counts_by_walking()).await? {
                    *taken_off.entry(status(&row, "status")?).or_default() += count(&row)?;
                }
            }
            let open = match is_counted_by_index && Wanted::may_be_open(filter) {
                true => open_ones(&search, open.as_ref(), &page).await?,
                false => OpenOnes::None,
            };
            let wanted = Wanted { tenant, filter, page, limit: 0, open };
            let query = if is_counted_by_index { wanted.counts() } else { wanted.counts_by_walking() };
            for row in search.find_planned(query).await? {
                *counts.entry(status(&row, "status")?).or_default() += count(&row)?;
            }
        }
        for (status, received) in taken_off {
            counts.entry(status).and_modify(|all| *all = all.saturating_sub(received));
        }
        Ok(counts)
    }

    async fn count_open(&self, tenant: Option<&Tenant>) -> Result<u64, RepositoryError> {
        counts::open(&self.database, tenant).await
    }

    async fn count_all(&self) -> Result<HashMap<MessageStatus, u64>, RepositoryError> {
        counts::all(&self.database).await
    }
}

/// How a tenant's open messages of these weeks are found, so that it costs no more than what it has itself.
async fn open_ones(search: &Search, open: Option<&Open>, page: &Page) -> Result<OpenOnes, SearchError> {
    let Some(Open { since, own }) = open.filter(|open| open.since < page.to) else { return Ok(OpenOnes::None) };
    let rows = search.find(open_of_all(page, *own)).await?;
    let counted = rows.first().map(count).transpose()?.unwrap_or_default();
    let is_few = counted < many(*own).cast_unsigned();
    Ok(if is_few { OpenOnes::OfAll } else { OpenOnes::OfTenant(*since) })
}

/// In the parts in which it is searched.
async fn parts(
    search: &Search,
    tenant: &Tenant,
    filter: &MessageFilter,
    before: Option<MessageId>,
) -> Result<Parts, SearchError> {
    let mut query = QueryBuilder::new("with asked (tenant) as (select ");
    query.push_bind(tenant.as_str().to_owned());
    query.push(concat!(
        "::text)
         select array(
                    select bounds[1]::uuid
                      from pg_inherits
                      join pg_class
                        on pg_class.oid = pg_inherits.inhrelid
                     cross join lateral regexp_match(
                           pg_get_expr(pg_class.relpartbound, 0), 'FROM \\(''([0-9a-f-]{36})''\\)') as bounds
                     where pg_inherits.inhparent = 'messaging_messages'::regclass
                       and bounds is not null) as weeks,
                coalesce((select bool_and(indisvalid)
                   from pg_index
                  where indrelid = 'messaging_messages'::regclass), false) as are_indexed,
                exists (select from messaging_uncounted_weeks) as is_uncounted,
                messaging_first_id_of(open.week) as open_since,
                (select coalesce(sum(counts.count), 0)::bigint
                   from messaging_message_counts as counts
                  where counts.tenant = asked.tenant
                    and counts.week >= open.week) as own
           from asked
          cross join lateral (
                    select min(week) as week
                      from (select counts.week
                              from messaging_message_counts as counts
                             where counts.tenant = asked.tenant
                               and status in ('pending', 'queued', 'processing')
                             union all
                            select changes.week
                              from messaging_message_count_changes as changes
                             where changes.tenant = asked.tenant
                               and status in ('pending', 'queued', 'processing')
                               and ",
        uncounted_changes!(),
        ") as weeks) as open"
    ));
    let rows = search.find(query).await?;
    let row = rows.first().ok_or_else(|| RepositoryError::Corrupt("a row was expected".to_owned()))?;
    let mut parts = Page::before(before).parts(get(row, "weeks")?);
    parts.retain(|part| part.may_match(filter));
    let open = if get(row, "is_uncounted")? {
        Some(Open { since: Uuid::nil(), own: i64::MAX })
    } else {
        let since: Option<Uuid> = get(row, "open_since")?;
        let own = get(row, "own")?;
        since.map(|since| Open { since, own })
    };
    Ok(Parts { parts, are_indexed: get(row, "are_indexed")?, open })
}

/// Of these messages, newest first, as many of the first as may be read at once; as they are now.
async fn content(search: &Search, ids: &[Uuid]) -> Result<Vec<Message>, SearchError> {
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
    let rows = search.find_planned(query).await?;
    Ok(messages(&rows))
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
