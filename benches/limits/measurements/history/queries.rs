//! What is asked of the table all the time, of a small one and of a large one, through the library's own adapters.

use std::time::{Duration, Instant};

use chrono::Utc;
use correio::application::ports::{
    DueMessages, Duties, Ids, MessageFilter, MessageRepository, MessageSearch, NodeRepository, Take,
};
use correio::domain::access::principal::Tenant;
use correio::domain::message::{Content, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::infrastructure::storage::postgres::{
    PgDatabase, PgDueMessages, PgMessageRepository, PgMessageSearch, PgNodeRepository,
};
use correio::infrastructure::system::SystemIds;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::idle::nothing;
use super::large_table;
use crate::Result;
use crate::database::Database;
use crate::figures::{Figure, Query};
use crate::measurements::turn::Turn;
use crate::statistics::percentile;
use crate::support::samples::{instance, message_of};

/// What a page of the API has by default.
const PAGE: u32 = 50;

pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let mut small = Table::filled(turn, turn.extent.small_rows).await?;
    let mut large = Table::filled(turn, turn.extent.rows).await?;
    for run in 0..turn.extent.runs {
        turn.round = run;
        for query in Query::ALL {
            let calls = match query {
                Query::Claim | Query::Find | Query::Status => turn.extent.calls,
                Query::FailedPage | Query::TakeNothing => turn.extent.calls.div_ceil(4),
            };
            for (table, figure) in [(&mut small, Figure::Small(query)), (&mut large, Figure::Large(query))] {
                let time = table.median_time(query, calls).await?;
                turn.record(figure, time.as_secs_f64() * 1e6);
            }
        }
    }
    small.remove(turn).await?;
    large.remove(turn).await
}

struct Table {
    database: Database,
    pool: PgDatabase,
    /// One, as a process has: it keeps connections of its own.
    messages: PgMessageRepository,
    node: NodeId,
    ids: SystemIds,
    /// Some of those that are there, whoever's, in no order.
    sample: Vec<(MessageId, Tenant)>,
}

impl Table {
    async fn filled(turn: &Turn<'_>, rows: u32) -> Result<Self> {
        eprintln!("  a table of {rows} rows");
        let mut database = Database::create_empty(turn.stage).await?;
        let pool = PgDatabase::connect_with(database.options().clone()).await?;
        pool.migrate().await?;
        large_table::fill(&mut database, rows).await?;
        let node = NodeId(Uuid::new_v4());
        let duties = Duties { publishes: true, consumes: true };
        PgNodeRepository::new(pool.clone()).register(node, node, duties, Utc::now()).await?;
        let sample = sample(&database, rows, turn.extent.calls).await?;
        let messages = PgMessageRepository::new(pool.clone());
        Ok(Self { database, pool, messages, node, ids: SystemIds::default(), sample })
    }

    async fn median_time(&mut self, query: Query, calls: usize) -> Result<Duration> {
        // The first ones of a connection plan the statement.
        let (mut times, warm_up) = (Vec::new(), calls / 10);
        let fresh = if query == Query::Claim { self.accept(warm_up + calls).await? } else { Vec::new() };
        for call in 0..warm_up + calls {
            let begin = Instant::now();
            self.ask(query, call, &fresh).await?;
            if call >= warm_up {
                times.push(begin.elapsed());
            }
        }
        percentile(&mut times, 0.5).ok_or_else(|| "nothing was asked".into())
    }

    async fn ask(&self, query: Query, call: usize, fresh: &[MessageId]) -> Result<()> {
        let messages = &self.messages;
        let search = PgMessageSearch::new(self.pool.clone());
        let (id, tenant) = &self.sample[call % self.sample.len()];
        let found = match query {
            Query::Claim => messages.claim(fresh[call], self.node, Utc::now()).await?.is_some(),
            Query::Find => messages.find(*id).await?.is_some(),
            Query::Status => search.find(tenant, *id).await?.is_some(),
            Query::FailedPage => {
                let filter = MessageFilter { status: Some(MessageStatus::Failed), ..MessageFilter::default() };
                !search.list(tenant, &filter, None, PAGE).await?.messages.is_empty()
            }
            Query::TakeNothing => PgDueMessages::new(self.pool.clone()).take(&self.nothing()).await?.is_empty(),
        };
        if found { Ok(()) } else { Err(format!("{} did not find what is there", query.name()).into()) }
    }

    /// What a relay asks for while all is well.
    fn nothing(&self) -> Take {
        Take {
            node: self.node,
            unconsumed: false,
            lost_before: Some(Utc::now() - chrono::Duration::hours(1)),
            ..nothing()
        }
    }

    /// New ones, queued, to be claimed.
    async fn accept(&self, count: usize) -> Result<Vec<MessageId>> {
        let messages = &self.messages;
        let mut accepted = Vec::new();
        for _ in 0..count {
            let message = queued(MessageId(self.ids.next()), self.node);
            messages.accept(&message, None).await?;
            accepted.push(message.id);
        }
        Ok(accepted)
    }

    async fn remove(self, turn: &Turn<'_>) -> Result<()> {
        self.pool.close().await;
        self.database.remove(turn.stage).await
    }
}

async fn sample(database: &Database, rows: u32, count: usize) -> Result<Vec<(MessageId, Tenant)>> {
    let mut connection = PgConnection::connect_with(database.options()).await?;
    let percent = (300.0 * count as f64 / f64::from(rows)).min(100.0);
    let query = format!(
        "select id, tenant from messaging_messages tablesample bernoulli ({percent}) order by random() limit {count}"
    );
    let found: Vec<(Uuid, String)> = sqlx::query_as(AssertSqlSafe(query)).fetch_all(&mut connection).await?;
    connection.close().await?;
    found.into_iter().map(|(id, tenant)| Ok((MessageId(id), Tenant::new(tenant)?))).collect()
}

/// Of a tenant of its own, so that the pages of the others stay what they are.
fn queued(id: MessageId, node: NodeId) -> Message {
    let (now, content) = (Utc::now(), Content { text: Some("x".repeat(100)), ..Content::default() });
    let message = message_of(&instance("claimed", "limits"), MessageStatus::Queued, node);
    Message { id, content, created_at: now, updated_at: now, ..message }
}
