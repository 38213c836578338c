//! Counts of messages that were there before they were counted, and of weeks that are dropped.

use correio::application::ports::{MessageFilter, MessageRepository, MessageSearch, Storage};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository, PgMessageSearch, PgStorage};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::retention::accepted;
use crate::support::databases::{FreshPostgres, migrations_until};
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{message, node, tenant};

/// Its last migration before messages were counted.
const BEFORE: i64 = 6;

const TIMES: [&str; 4] =
    ["2026-10-04T23:59:59Z", "2026-10-05T00:00:00Z", "2026-10-11T23:59:59Z", "2026-10-12T00:00:00Z"];

struct Installation {
    fresh: FreshPostgres,
    messages: PgMessageRepository,
    search: PgMessageSearch,
    storage: PgStorage,
    database: PgDatabase,
    connection: PgConnection,
}

impl Installation {
    async fn before_counting() -> Option<Self> {
        let fresh = FreshPostgres::create().await?;
        let mut connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
        migrations_until("postgres", BEFORE).await.run(&mut connection).await.unwrap();
        let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
        Some(Self {
            messages: PgMessageRepository::new(database.clone()),
            search: PgMessageSearch::new(database.clone()),
            storage: PgStorage::new(database.clone()),
            fresh,
            database,
            connection,
        })
    }

    async fn accept(&self, message: Message) {
        self.messages.accept(&message, None).await.unwrap();
    }

    /// Open ones, of the tenant and of all.
    async fn open(&self) -> (u64, u64) {
        let counts = self.search.count(&tenant("acme"), &MessageFilter::sent()).await.unwrap();
        let open = counts.iter().filter(|(status, _)| status.is_open()).map(|(_, count)| count).sum();
        assert_eq!(self.search.count_open(Some(&tenant("acme"))).await.unwrap(), open);
        (open, self.search.count_open(None).await.unwrap())
    }

    /// How many are read to find the changes that are to be counted.
    async fn pages_of_changes(&mut self) -> u32 {
        let look = "explain (analyze, buffers)
                    select sum(change)
                      from messaging_message_count_changes
                     where written_by >= (select written_by from messaging_counted_until)";
        let lines: Vec<String> = sqlx::query_scalar(look).fetch_all(&mut self.connection).await.unwrap();
        let read = lines.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared hit="));
        read.expect("what was read").split(' ').next().unwrap().parse().unwrap()
    }

    async fn number(&mut self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.connection).await.unwrap()
    }
}

#[tokio::test]
async fn what_somebody_changes_whose_search_path_is_another_is_counted() {
    let Some(mut old) = Installation::before_counting().await else { return };
    old.database.migrate().await.unwrap();
    old.accept(message(MessageStatus::Queued, node())).await;
    let by_hand = "set search_path = pg_catalog;
                   update public.messaging_messages set status = 'cancelled', node_id = null;
                   reset search_path";
    sqlx::raw_sql(by_hand).execute(&mut old.connection).await.unwrap();
    assert_eq!(old.open().await, (0, 0));
}

#[tokio::test]
async fn what_was_there_before_is_counted_beside_everything_else() {
    let Some(mut old) = Installation::before_counting().await else { return };
    // What this build writes, and the tables of that time had not.
    sqlx::raw_sql(
        "alter table messaging_messages add column template json, add column purpose text, add column record json,
                          add column broadcast_id uuid",
    )
    .execute(&mut old.connection)
    .await
    .unwrap();
    for time in TIMES {
        old.accept(accepted(time, MessageStatus::Queued)).await;
    }
    // Of a clock that jumped as far as an id can tell.
    let latest = MessageId(Uuid::from_u128(u128::MAX - 1));
    old.accept(Message { id: latest, ..message(MessageStatus::Queued, node()) }).await;
    sqlx::raw_sql(
        "alter table messaging_messages drop column template, drop column purpose, drop column record,
                          drop column broadcast_id",
    )
    .execute(&mut old.connection)
    .await
    .unwrap();
    old.database.migrate().await.unwrap();
    let uncounted = "select count(*) from messaging_uncounted_weeks";
    assert_eq!(old.number(uncounted).await, 4, "three weeks, from Monday to Monday, and the last one of all");
    assert_eq!(old.open().await, (5, 5), "they are read until then");

    old.accept(message(MessageStatus::Queued, node())).await;
    old.accept(accepted(TIMES[0], MessageStatus::Queued)).await;
    old.storage.roll_up().await.unwrap();
    assert_eq!(old.open().await, (7, 7));
    old.accept(accepted(TIMES[0], MessageStatus::Queued)).await;
    old.storage.overhaul(chrono::Utc::now()).await.unwrap();
    assert_eq!(old.number(uncounted).await, 0);
    assert_eq!(old.open().await, (8, 8), "each is counted once, whenever it came");
    old.storage.roll_up().await.unwrap();
    assert_eq!(old.open().await, (8, 8));
    assert_eq!(old.number("select sum(count)::bigint from messaging_message_counts").await, 8);
    drop(old.fresh);
}

/// An operator's: whoever mends rows in a partition, or copies them, tells the counts.
#[tokio::test]
async fn a_week_can_be_counted_anew() {
    let Some(mut old) = Installation::before_counting().await else { return };
    old.database.migrate().await.unwrap();
    old.accept(message(MessageStatus::Queued, node())).await;
    old.storage.maintain(chrono::Utc::now()).await.unwrap();
    sqlx::raw_sql(
        "do $$
         declare
             week regclass;
         begin
             select tableoid into week from messaging_messages;
             execute format('delete from %s', week);
         end
         $$",
    )
    .execute(&mut old.connection)
    .await
    .unwrap();
    assert_eq!(old.open().await, (1, 1), "nobody knows yet");
    let anew = "insert into messaging_uncounted_weeks
                select week from messaging_message_counts
                union
                select week from messaging_message_count_changes
                union
                select messaging_week_of(id) from messaging_messages
                    on conflict do nothing";
    sqlx::raw_sql(anew).execute(&mut old.connection).await.unwrap();
    assert_eq!(old.open().await, (0, 0), "it is read from now on");
    old.storage.overhaul(chrono::Utc::now()).await.unwrap();
    assert_eq!(old.open().await, (0, 0));
    drop(old.fresh);
}

/// As a dump does for hours. Nothing is vacuumed meanwhile.
#[tokio::test]
async fn what_was_counted_is_not_walked_past_while_a_transaction_is_open() {
    let Some(mut installation) = Installation::before_counting().await else { return };
    installation.database.migrate().await.unwrap();
    let mut dump = PgConnection::connect_with(&installation.fresh.options()).await.unwrap();
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from messaging_messages")
        .execute(&mut dump)
        .await
        .unwrap();
    let many = "insert into messaging_message_count_changes (tenant, week, status, change)
                select 'acme', 1, 'queued', case number % 2 when 0 then 1 else -1 end
                  from generate_series(1, 100000) as number";
    sqlx::raw_sql(many).execute(&mut installation.connection).await.unwrap();
    installation.accept(message(MessageStatus::Queued, node())).await;
    sqlx::raw_sql("set enable_seqscan = off; set enable_bitmapscan = off")
        .execute(&mut installation.connection)
        .await
        .unwrap();
    // What was under way when it was added, in whatever database of the server, is passed over the next time.
    eventually(SOON, "what was counted is passed over", async || {
        installation.storage.roll_up().await.unwrap();
        (installation.pages_of_changes().await < 20).then_some(())
    })
    .await;
    assert_eq!(installation.open().await, (1, 1));
    // What comes later is found.
    installation.accept(message(MessageStatus::Queued, node())).await;
    assert_eq!(installation.open().await, (2, 2));
}

/// Its transactions have lower numbers than those of the server that was dumped.
#[tokio::test]
async fn a_restored_database_counts() {
    let Some(mut installation) = Installation::before_counting().await else { return };
    installation.database.migrate().await.unwrap();
    sqlx::raw_sql("update messaging_counted_until set written_by = '900000000000'")
        .execute(&mut installation.connection)
        .await
        .unwrap();
    installation.accept(message(MessageStatus::Queued, node())).await;
    assert_eq!(installation.open().await, (1, 1));
    installation.storage.roll_up().await.unwrap();
    installation.accept(message(MessageStatus::Queued, node())).await;
    assert_eq!(installation.open().await, (2, 2));
    let until = "select (written_by < '900000000000')::int::bigint from messaging_counted_until";
    assert_eq!(installation.number(until).await, 1, "it goes by its own transactions");
}
