//! Weeks that are dropped, and those that stay.

use std::time::Duration;

use correio::application::ports::{FailedMessages, MessageRepository, Replay, Storage};
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageStatus};
use correio::infrastructure::storage::postgres::{PgDatabase, PgFailedMessages, PgMessageRepository, PgStorage};
use sqlx::{Connection, PgConnection};

use super::retention::accepted;
use crate::support::databases::FreshPostgres;
use crate::support::eventually::eventually;
use crate::support::given::{at, failed, node, outcome};

const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

const SOON: Duration = Duration::from_secs(30);

fn now() -> Timestamp {
    "2020-06-01T00:00:00Z".parse().unwrap()
}

struct Old {
    fresh: FreshPostgres,
    storage: PgStorage,
    messages: PgMessageRepository,
    replays: PgFailedMessages,
    connection: PgConnection,
}

impl Old {
    async fn installation() -> Option<Self> {
        let fresh = FreshPostgres::create().await?;
        let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
        database.migrate().await.unwrap();
        let connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
        let storage = PgStorage::new(database.clone());
        let (messages, replays) = (PgMessageRepository::new(database.clone()), PgFailedMessages::new(database));
        Some(Self { fresh, storage, messages, replays, connection })
    }

    async fn make_weeks(&self) {
        self.storage.maintain("2020-01-08T00:00:00Z".parse().unwrap()).await.unwrap();
    }

    async fn failed(&self, time: &str) -> Message {
        let message = accepted(time, MessageStatus::Queued);
        self.messages.accept(&message, None).await.unwrap();
        let claimed = self.messages.claim(message.id, node(), at(9)).await.unwrap().unwrap().message;
        assert!(self.messages.record(&outcome(&claimed, failed())).await.unwrap());
        message
    }

    async fn delete(&self) {
        while self.storage.delete_history(RETENTION, now()).await.unwrap() {}
    }

    /// Weeks before now.
    async fn weeks(&mut self) -> Vec<String> {
        sqlx::query_scalar(
            "select relid::text
               from (select relid, isleaf from pg_partition_tree('messaging_messages')
                     union all
                     select relid, isleaf from pg_partition_tree('messaging_message_attempts')) as tree
              where isleaf
                and relid::text like '%\\_2020\\_%'
              order by 1",
        )
        .fetch_all(&mut self.connection)
        .await
        .unwrap()
    }

    async fn status(&self, message: &Message) -> Option<MessageStatus> {
        self.messages.find(message.id).await.unwrap().map(|message| message.status)
    }
}

#[tokio::test]
async fn a_week_stays_with_its_attempts_while_one_of_its_messages_is_open() {
    let Some(mut old) = Old::installation().await else { return };
    old.make_weeks().await;
    let ended = old.failed("2020-01-08T00:00:00Z").await;
    let open = accepted("2020-01-16T00:00:00Z", MessageStatus::Queued);
    old.messages.accept(&open, None).await.unwrap();
    let beside = old.failed("2020-01-16T00:00:00Z").await;
    old.delete().await;
    assert_eq!(old.weeks().await, ["messaging_message_attempts_2020_w03", "messaging_messages_2020_w03"]);
    assert_eq!(old.status(&ended).await, None);
    assert_eq!(old.status(&open).await, Some(MessageStatus::Queued));
    assert_eq!(old.status(&beside).await, Some(MessageStatus::Failed));

    let claimed = old.messages.claim(open.id, node(), at(9)).await.unwrap().unwrap().message;
    assert!(old.messages.record(&outcome(&claimed, failed())).await.unwrap());
    old.delete().await;
    assert_eq!(old.weeks().await, Vec::<String>::new());
}

#[tokio::test]
async fn names_at_channels_go_with_their_week_whatever_stays_before_it() {
    let Some(mut old) = Old::installation().await else { return };
    old.make_weeks().await;
    let open = accepted("2020-01-08T00:00:00Z", MessageStatus::Queued);
    old.messages.accept(&open, None).await.unwrap();
    let (gone, stray) = (old.failed("2020-01-16T00:00:00Z").await, old.failed("2019-12-01T00:00:00Z").await);
    let young = old.failed("2020-05-20T00:00:00Z").await;
    for message in [&open, &gone, &stray, &young] {
        sqlx::query("insert into messaging_channel_messages values ($1, $2, $3)")
            .bind(message.instance_id.0)
            .bind(message.id.to_string())
            .bind(message.id.0)
            .execute(&mut old.connection)
            .await
            .unwrap();
    }
    old.delete().await;
    assert_eq!(old.weeks().await, ["messaging_message_attempts_2020_w02", "messaging_messages_2020_w02"]);
    let mut left: Vec<uuid::Uuid> = sqlx::query_scalar("select message_id from messaging_channel_messages")
        .fetch_all(&mut old.connection)
        .await
        .unwrap();
    left.sort();
    assert_eq!(left, [open.id.0, young.id.0]);
    let uncounted: i64 = sqlx::query_scalar("select count(*) from messaging_uncounted_weeks where week = 2611")
        .fetch_one(&mut old.connection)
        .await
        .unwrap();
    assert_eq!(uncounted, 0, "what is left of a week that was dropped is known at once");
}

#[tokio::test]
async fn a_week_stays_until_all_of_it_is_old() {
    let Some(mut old) = Old::installation().await else { return };
    old.make_weeks().await;
    let wednesday = old.failed("2020-01-08T00:00:00Z").await;
    // Ninety days after the Sunday of that week; then of its end.
    let [sunday, monday] = ["2020-04-11T23:59:59Z", "2020-04-12T00:00:00Z"].map(|time| time.parse().unwrap());
    assert!(!old.storage.delete_history(RETENTION, sunday).await.unwrap());
    assert_eq!(old.status(&wednesday).await, Some(MessageStatus::Failed));
    while old.storage.delete_history(RETENTION, monday).await.unwrap() {}
    assert_eq!(old.status(&wednesday).await, None);
    assert!(!old.weeks().await.contains(&"messaging_messages_2020_w02".to_owned()));
    assert!(old.weeks().await.contains(&"messaging_messages_2020_w03".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_that_cannot_go_keeps_none_of_the_others() {
    let Some(mut old) = Old::installation().await else { return };
    old.make_weeks().await;
    for time in ["2020-01-08T00:00:00Z", "2020-01-16T00:00:00Z"] {
        old.failed(time).await;
    }
    // The first cannot be dropped at all; the second is rewritten, and its attempts are read.
    let refused = "create function refuse() returns event_trigger language plpgsql as $$
                   begin
                       if current_query() like '%messages_2020_w02%' then raise 'dropping is refused'; end if;
                   end $$;
                   create event trigger refused on ddl_command_start when tag in ('DROP TABLE') execute function refuse()";
    sqlx::raw_sql(refused).execute(&mut old.connection).await.unwrap();
    let mut operator = PgConnection::connect_with(&old.fresh.options()).await.unwrap();
    let hold = "begin; lock table messaging_messages_2020_w03 in access exclusive mode;
                select from messaging_message_attempts_2020_w03";
    sqlx::raw_sql(hold).execute(&mut operator).await.unwrap();
    let error = loop {
        match old.storage.delete_history(RETENTION, now()).await {
            Ok(true) => {}
            Ok(false) => panic!("the first week is not reported"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("dropping is refused"), "{error}");
    operator.close().await.unwrap();
    let stay = [
        "messaging_message_attempts_2020_w02",
        "messaging_message_attempts_2020_w03",
        "messaging_messages_2020_w02",
        "messaging_messages_2020_w03",
    ];
    assert_eq!(old.weeks().await, stay);
}

#[tokio::test]
async fn a_clock_that_jumped_ahead_makes_nothing_old() {
    let Some(old) = Old::installation().await else { return };
    let yesterday = chrono::Utc::now() - chrono::Duration::days(1);
    let recent = old.failed(&yesterday.to_rfc3339()).await;
    let far = yesterday + chrono::Duration::days(4_000);
    while old.storage.delete_history(RETENTION, far).await.unwrap() {}
    assert_eq!(old.status(&recent).await, Some(MessageStatus::Failed));
}

/// The check that is made before the locks has seen the message failed; the replay is under way, and is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_was_first_keeps_its_week() {
    let Some(mut old) = Old::installation().await else { return };
    old.make_weeks().await;
    let message = old.failed("2020-01-08T00:00:00Z").await;
    let mut client = PgConnection::connect_with(&old.fresh.options()).await.unwrap();
    let mut replay = client.begin().await.unwrap();
    sqlx::query("update messaging_messages set status = 'queued', dead_lettered_at = null where id = $1")
        .bind(message.id.0)
        .execute(&mut *replay)
        .await
        .unwrap();
    let deleting = tokio::spawn({
        let storage = old.storage.clone();
        async move { storage.delete_history(RETENTION, now()).await }
    });
    eventually(SOON, "the retention waits for the replay", async || {
        let waiting = "select exists (select from pg_locks
                                       where not granted
                                         and mode = 'AccessExclusiveLock'
                                         and relation = 'messaging_messages'::regclass)";
        let is_waiting: bool = sqlx::query_scalar(waiting).fetch_one(&mut *replay).await.unwrap();
        is_waiting.then_some(())
    })
    .await;
    replay.commit().await.unwrap();
    deleting.await.unwrap().unwrap();
    old.delete().await;
    assert_eq!(old.status(&message).await, Some(MessageStatus::Queued));
    assert!(old.weeks().await.contains(&"messaging_messages_2020_w02".to_owned()));
}

/// The other order would keep the statement from its partition, and the two would wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_the_retention_waits_for_goes_on_to_the_partition() {
    let Some(mut old) = Old::installation().await else { return };
    old.make_weeks().await;
    let message = old.failed("2020-01-08T00:00:00Z").await;
    let mut client = PgConnection::connect_with(&old.fresh.options()).await.unwrap();
    // As one that has its lock on the parent, and has not come to the partitions yet.
    let begun = "begin; lock table only messaging_messages in row exclusive mode; set local lock_timeout = '300ms'";
    sqlx::raw_sql(begun).execute(&mut client).await.unwrap();
    let deleting = tokio::spawn({
        let storage = old.storage.clone();
        async move { storage.delete_history(RETENTION, now()).await }
    });
    eventually(SOON, "the retention waits for the statement", async || {
        let waiting = "select exists (select from pg_locks
                                       where not granted
                                         and mode = 'AccessExclusiveLock'
                                         and relation = 'messaging_messages'::regclass)";
        let is_waiting: bool = sqlx::query_scalar(waiting).fetch_one(&mut old.connection).await.unwrap();
        is_waiting.then_some(())
    })
    .await;
    sqlx::query("update messaging_messages_2020_w02 set status = 'queued', dead_lettered_at = null where id = $1")
        .bind(message.id.0)
        .execute(&mut client)
        .await
        .expect("the partition is free");
    sqlx::raw_sql("commit").execute(&mut client).await.unwrap();
    deleting.await.unwrap().unwrap();
    assert_eq!(old.status(&message).await, Some(MessageStatus::Queued));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_beside_the_retention_keeps_the_message_or_finds_none() {
    let Some(old) = Old::installation().await else { return };
    for round in 0..12 {
        if round % 2 == 0 {
            old.make_weeks().await; // else the message lies in no week
        }
        let message = old.failed("2020-01-08T00:00:00Z").await;
        let deleting = tokio::spawn({
            let storage = old.storage.clone();
            async move { while storage.delete_history(RETENTION, now()).await.unwrap() {} }
        });
        for _ in 0..round {
            // Later each time.
            old.storage.ping().await.unwrap();
        }
        let replay = old.replays.replay(&message.tenant, message.id, at(20)).await.unwrap();
        deleting.await.unwrap();
        old.delete().await;
        let expected = match replay {
            Replay::Queued => Some(MessageStatus::Queued),
            // The latter when it waited for the row to be deleted: it then tells what was there when it began.
            Replay::Unknown | Replay::NotFailed => None,
        };
        assert_eq!(old.status(&message).await, expected, "round {round}");
        if expected.is_some() {
            // It ends, and makes room for the next round.
            let mut connection = PgConnection::connect_with(&old.fresh.options()).await.unwrap();
            sqlx::query("delete from messaging_messages").execute(&mut connection).await.unwrap();
        }
        old.delete().await;
    }
}
