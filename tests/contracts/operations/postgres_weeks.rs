//! Weeks that are made ahead of time, and those that are made late.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use correio::application::ports::{MessageRepository, RepositoryError, Storage, WeeksStanding};
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository, PgStorage};
use futures::future::{join, join_all};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::retention::accepted;
use crate::support::databases::FreshPostgres;
use crate::support::eventually::eventually;
use crate::support::given::{at, failed, message, node, outcome, sent};

/// In time, however slow the machine.
const SOON: Duration = Duration::from_secs(60);

struct Postgres {
    fresh: FreshPostgres,
    database: PgDatabase,
    storage: PgStorage,
    messages: PgMessageRepository,
    /// To look into it.
    connection: PgConnection,
}

async fn postgres() -> Option<Postgres> {
    let fresh = FreshPostgres::create().await?;
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let (storage, messages) = (PgStorage::new(database.clone()), PgMessageRepository::new(database.clone()));
    Some(Postgres { fresh, database, storage, messages, connection })
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Postgres {
    async fn partition_of(&mut self, id: MessageId) -> String {
        let query = "select tableoid::regclass::text from messaging_messages where id = $1";
        sqlx::query_scalar(query).bind(id.0).fetch_one(&mut self.connection).await.unwrap()
    }

    async fn count(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connection).await.unwrap()
    }

    /// A message that was accepted then, claimed, and failed: with a row of its attempt.
    async fn failed(&self, time: &str) -> Message {
        let message = accepted(time, MessageStatus::Queued);
        self.messages.accept(&message, None).await.unwrap();
        let claimed = self.messages.claim(message.id, node(), at(9)).await.unwrap().unwrap().message;
        assert!(self.messages.record(&outcome(&claimed, failed())).await.unwrap());
        message
    }
}

#[tokio::test]
async fn what_a_clock_that_jumped_put_outside_of_all_weeks_is_in_its_week_when_that_comes_near() {
    let Some(mut postgres) = postgres().await else { return };
    postgres.storage.maintain(time("2031-01-01T00:00:00Z")).await.unwrap();
    let jumped = postgres.failed("2031-02-04T00:00:00Z").await;
    let far = postgres.failed("2031-09-01T00:00:00Z").await;
    assert_eq!(postgres.partition_of(jumped.id).await, "messaging_messages_default");

    postgres.storage.maintain(time("2031-01-08T00:00:00Z")).await.unwrap();
    assert_eq!(postgres.partition_of(jumped.id).await, "messaging_messages_2031_w06");
    assert_eq!(postgres.partition_of(far.id).await, "messaging_messages_default");
    let found = postgres.messages.find(jumped.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.try_number), (MessageStatus::Failed, 1));
    let attempts = "select count(*) from messaging_message_attempts_2031_w06";
    assert_eq!(postgres.count(attempts).await, 1);
    // The indexes and checks are those of every week.
    let parts = |table: &str| {
        format!(
            "select (select count(*) from pg_index where indrelid = '{table}'::regclass)
                  + (select count(*) from pg_constraint where conrelid = '{table}'::regclass)
                  + (select count(*) from pg_inherits
                       join pg_index on pg_index.indexrelid = pg_inherits.inhrelid
                      where pg_index.indrelid = '{table}'::regclass)"
        )
    };
    let [repaired, default] = ["messaging_messages_2031_w06", "messaging_messages_default"].map(parts);
    let mut count = async |sql: String| -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut postgres.connection).await.unwrap()
    };
    assert_eq!(count(repaired).await, count(default).await);
}

#[tokio::test]
async fn a_week_of_the_past_that_could_not_be_made_in_its_time_is_made_late() {
    let Some(mut postgres) = postgres().await else { return };
    let (first, second) =
        (postgres.failed("2030-03-05T00:00:00Z").await, postgres.failed("2030-05-01T00:00:00Z").await);
    postgres.storage.maintain(time("2031-01-01T00:00:00Z")).await.unwrap();
    assert_eq!(postgres.partition_of(first.id).await, "messaging_messages_2030_w10");
    assert_eq!(postgres.partition_of(second.id).await, "messaging_messages_2030_w18");
    assert_eq!(postgres.count("select count(*) from messaging_messages_default").await, 0);
    assert_eq!(postgres.count("select count(*) from messaging_message_attempts_default").await, 0);
}

/// Clients that accept, claim and record messages of one week, and note what they were told.
struct Traffic {
    next: AtomicU64,
    stop: AtomicBool,
    ended: AtomicUsize,
}

impl Traffic {
    fn message(&self, week: &str) -> Message {
        let mut message = accepted(week, MessageStatus::Queued);
        let place = u128::from(self.next.fetch_add(1, Ordering::Relaxed));
        message.id = MessageId(Uuid::from_u128(message.id.0.as_u128() + (place << 80)));
        message
    }

    /// Returns the ids of messages all of whose writes were answered.
    async fn client(&self, messages: PgMessageRepository, waiting: Vec<Message>, week: &str) -> Vec<Uuid> {
        let mut done = Vec::new();
        let mut waiting = waiting.into_iter();
        while !self.stop.load(Ordering::Relaxed) || waiting.len() > 0 {
            let message = match waiting.next() {
                Some(message) => message,
                None => {
                    let message = self.message(week);
                    until_answered(async || messages.accept(&message, None).await).await;
                    message
                }
            };
            let claimed = until_answered(async || messages.claim(message.id, node(), at(9)).await).await;
            let claimed = claimed.expect("nobody else claims it").message;
            let outcome = outcome(&claimed, sent());
            assert!(until_answered(async || messages.record(&outcome).await).await, "an outcome found no row");
            done.push(message.id.0);
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        done
    }
}

/// As the application does it. Nothing is lost in these tests but time: an answer that does not come changed nothing.
async fn until_answered<T>(mut ask: impl AsyncFnMut() -> Result<T, RepositoryError>) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(RepositoryError::Contested(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_and_outcomes_go_on_while_a_week_is_made_around_them() {
    const WEEK: &str = "2031-02-04T00:00:00Z";
    let Some(mut postgres) = postgres().await else { return };
    postgres.storage.maintain(time("2031-01-01T00:00:00Z")).await.unwrap();
    let traffic = Traffic { next: 0.into(), stop: false.into(), ended: 0.into() };
    let mut clients = Vec::new();
    for _ in 0..6 {
        let waiting: Vec<Message> = (0..100).map(|_| traffic.message(WEEK)).collect();
        for message in &waiting {
            postgres.messages.accept(message, None).await.unwrap();
        }
        clients.push(traffic.client(PgMessageRepository::new(postgres.database.clone()), waiting, WEEK));
    }
    let mut looking = PgConnection::connect_with(&postgres.fresh.options()).await.unwrap();
    let has_ended = async |count| {
        let ended = async || (traffic.ended.load(Ordering::Relaxed) >= count).then_some(());
        eventually(SOON, "messages end", ended).await;
    };
    let making = async {
        has_ended(50).await;
        // Three processes at once. What does not get its locks in time is tried again.
        eventually(SOON, "the week is made", async || {
            let all = (0..3).map(|_| postgres.storage.maintain(time("2031-01-08T00:00:00Z")));
            assert!(join_all(all).await.into_iter().all(|done| done.is_ok()));
            let made = "select to_regclass('messaging_messages_2031_w06')::text";
            sqlx::query_scalar::<_, Option<String>>(made).fetch_one(&mut looking).await.unwrap()
        })
        .await;
        has_ended(traffic.ended.load(Ordering::Relaxed) + 100).await;
        traffic.stop.store(true, Ordering::Relaxed);
    };
    let (done, ()) = join(join_all(clients), making).await;
    let ids = done.concat();

    let sent: Vec<Uuid> = sqlx::query_scalar(
        "select id from messaging_messages_2031_w06 where status = 'sent' and try = 1 and id = any($1)",
    )
    .bind(&ids)
    .fetch_all(&mut postgres.connection)
    .await
    .unwrap();
    assert_eq!(sent.len(), ids.len(), "messages are lost, or not as they were recorded");
    assert_eq!(postgres.count("select count(*) from messaging_messages_default").await, 0);
}

/// An outcome that began while the week was being made, and whose plan would not know of it had it waited for the default
/// partition alone, finds the row where it is now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_waits_for_a_week_to_be_made_finds_its_row() {
    let Some(mut postgres) = postgres().await else { return };
    postgres.storage.maintain(time("2031-01-01T00:00:00Z")).await.unwrap();
    let message = accepted("2031-02-04T00:00:00Z", MessageStatus::Queued);
    postgres.messages.accept(&message, None).await.unwrap();
    let claimed = postgres.messages.claim(message.id, node(), at(9)).await.unwrap().unwrap().message;
    let outcome = outcome(&claimed, sent());
    let mut looking = PgConnection::connect_with(&postgres.fresh.options()).await.unwrap();
    let mut waiting = async |count: i64| {
        eventually(SOON, "statements wait for the tables", async || {
            let found: i64 = sqlx::query_scalar(
                "select count(*)
                   from pg_locks
                  where not granted
                    and relation in ('messaging_messages'::regclass, 'messaging_messages_default'::regclass)",
            )
            .fetch_one(&mut looking)
            .await
            .unwrap();
            (found >= count).then_some(())
        })
        .await;
    };

    let mut operator = postgres.connection.begin().await.unwrap();
    let hold = "lock table messaging_messages_default in row exclusive mode";
    sqlx::query(hold).execute(&mut *operator).await.unwrap();
    let storage = postgres.storage.clone();
    let making = tokio::spawn(async move { storage.maintain(time("2031-01-08T00:00:00Z")).await });
    waiting(1).await;
    let messages = PgMessageRepository::new(postgres.database.clone());
    let recording = tokio::spawn({
        let outcome = outcome.clone();
        async move { messages.record(&outcome).await }
    });
    waiting(2).await;
    operator.commit().await.unwrap();
    making.await.unwrap().unwrap();
    let recorded = match recording.await.unwrap() {
        Err(RepositoryError::Contested(_)) => postgres.messages.record(&outcome).await,
        recorded => recorded,
    };
    assert!(recorded.unwrap(), "the outcome is lost");
    assert_eq!(postgres.partition_of(message.id).await, "messaging_messages_2031_w06");
}

#[tokio::test]
async fn a_week_with_too_many_rows_to_be_moved_is_made_around_them() {
    let Some(mut postgres) = postgres().await else { return };
    postgres.storage.maintain(time("2031-01-01T00:00:00Z")).await.unwrap();
    let template = postgres.failed("2031-02-05T10:30:00Z").await;
    sqlx::query(
        "insert into messaging_messages
         select (jsonb_populate_record(messages, jsonb_build_object('id',
                    (substr(messages.id::text, 1, 24) || lpad(to_hex(number), 12, '0'))::uuid))).*
           from messaging_messages as messages, generate_series(1, 20001) as number
          where messages.id = $1",
    )
    .bind(template.id.0)
    .execute(&mut postgres.connection)
    .await
    .unwrap();

    let now = time("2031-01-08T00:00:00Z");
    postgres.storage.maintain(now).await.unwrap();
    assert_eq!(postgres.partition_of(template.id).await, "messaging_messages_default");
    postgres.storage.overhaul(now).await.unwrap();
    for (time, partition) in [
        ("2031-02-03T00:00:00Z", "messaging_messages_2031_w06"),
        ("2031-02-05T09:59:59Z", "messaging_messages_2031_w06"),
        ("2031-02-05T10:30:01Z", "messaging_messages_default"),
        ("2031-02-05T11:00:00Z", "messaging_messages_2031_w06_from_d3h11"),
        ("2031-02-09T23:59:59Z", "messaging_messages_2031_w06_from_d3h11"),
    ] {
        let message = postgres.failed(time).await;
        assert_eq!(postgres.partition_of(message.id).await, partition, "{time}");
    }
    // Nothing is left behind that would refuse a message, not even by a process that died; and it is done once.
    let fence = "alter table messaging_messages_default
                   add constraint messaging_messages_default_fence check (id < '02000000-0000-0000-0000-000000000000') not valid";
    sqlx::query(fence).execute(&mut postgres.connection).await.unwrap();
    postgres.storage.overhaul(now).await.unwrap();
    let fences = "select count(*) from pg_constraint where conname ~ '_(fence|week)$'";
    assert_eq!(postgres.count(fences).await, 0);
    postgres.storage.maintain(now).await.unwrap();
    postgres.storage.overhaul(now).await.unwrap();
    let standing = postgres.storage.weeks(now).await.unwrap().unwrap();
    assert_eq!(standing, WeeksStanding { ahead: 4, strays: WeeksStanding::COUNTED });
}

#[tokio::test]
async fn missing_weeks_and_rows_outside_of_all_weeks_are_seen() {
    let Some(postgres) = postgres().await else { return };
    let now = time("2031-01-01T00:00:00Z");
    let standing = async || postgres.storage.weeks(now).await.unwrap().unwrap();
    assert_eq!(standing().await, WeeksStanding { ahead: 0, strays: 0 });
    postgres.storage.maintain(now - chrono::Duration::weeks(3)).await.unwrap();
    assert_eq!(standing().await, WeeksStanding { ahead: 1, strays: 0 });
    assert!(standing().await.is_worrying());
    postgres.storage.maintain(now).await.unwrap();
    assert_eq!(standing().await, WeeksStanding { ahead: 4, strays: 0 });
    assert!(!standing().await.is_worrying());
    // A message and its attempt.
    postgres.failed("2031-09-01T00:00:00Z").await;
    assert_eq!(standing().await, WeeksStanding { ahead: 4, strays: 2 });
    assert!(standing().await.is_worrying());
}

#[tokio::test]
async fn a_message_of_now_lies_in_its_week() {
    let Some(mut postgres) = postgres().await else { return };
    let now = message(MessageStatus::Queued, node());
    postgres.messages.accept(&now, None).await.unwrap();
    assert_ne!(postgres.partition_of(now.id).await, "messaging_messages_default");
}
