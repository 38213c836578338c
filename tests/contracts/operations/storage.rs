use correio::application::ports::Accepted;
use correio::domain::access::idempotency::KEPT;
use correio::domain::message::{MessageId, MessageStatus};
use futures::future::join_all;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::databases::{Adapters, FreshPostgres};
use crate::support::given::{at, message, node, request};
use correio::infrastructure::storage::limits::Limits;
use correio::infrastructure::storage::postgres::PgDatabase;

on_every_adapter![
    the_database_answers,
    maintenance_deletes_keys_that_have_expired_and_no_others,
    maintenance_may_run_in_several_places_at_once,
];

async fn the_database_answers(adapters: &Adapters) {
    adapters.storage.ping().await.unwrap();
}

async fn maintenance_deletes_keys_that_have_expired_and_no_others(adapters: &Adapters) {
    let (old, mut young) = (message(MessageStatus::Queued, node()), message(MessageStatus::Queued, node()));
    young.created_at = at(1);
    adapters.messages.accept(&old, Some(&request("old", 1))).await.unwrap();
    adapters.messages.accept(&young, Some(&request("young", 1))).await.unwrap();
    adapters.storage.maintain(at(0) + KEPT).await.unwrap();
    // Asked at a time at which neither had expired: only the deleted one is gone.
    assert!(adapters.messages.kept_request(&old.tenant, &request("old", 1).key, at(0)).await.unwrap().is_none());
    assert!(adapters.messages.kept_request(&old.tenant, &request("young", 1).key, at(0)).await.unwrap().is_some());
    let again = message(MessageStatus::Queued, node());
    let answer = adapters.messages.accept(&again, Some(&request("old", 2))).await.unwrap();
    assert!(matches!(answer, Accepted::Stored));
    assert!(adapters.messages.find(old.id).await.unwrap().is_some());
}

async fn maintenance_may_run_in_several_places_at_once(adapters: &Adapters) {
    let far = at(0) + chrono::Duration::days(400);
    let all = join_all((0..5).map(|_| adapters.storage.maintain(far))).await;
    assert!(all.into_iter().all(|done| done.is_ok()));
}

/// A fresh, migrated PostgreSQL database, and a connection to look into it.
async fn postgres() -> Option<(FreshPostgres, PgDatabase, PgConnection)> {
    let fresh = FreshPostgres::create().await?;
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
    Some((fresh, database, connection))
}

async fn partition_of(connection: &mut PgConnection, id: MessageId) -> String {
    sqlx::query_scalar("select tableoid::regclass::text from messaging_messages where id = $1")
        .bind(id.0)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_message_lands_in_its_week_and_one_of_a_far_future_in_the_default_partition() {
    use correio::application::ports::{MessageRepository, Storage};
    use correio::infrastructure::storage::postgres::{PgMessageRepository, PgStorage};

    let Some((_fresh, database, mut connection)) = postgres().await else { return };
    let messages = PgMessageRepository::new(database.clone());
    let storage = PgStorage::new(database);
    let of_time = |time: &str| {
        let milliseconds = time.parse::<correio::domain::Timestamp>().unwrap().timestamp_millis();
        let id = Uuid::from_u128(((milliseconds as u128) << 80) | (7 << 76) | (2 << 62) | 1);
        correio::domain::message::Message { id: MessageId(id), ..message(MessageStatus::Queued, node()) }
    };
    storage.maintain("2031-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    for (time, partition) in [
        ("2030-12-30T00:00:00.000Z", "messaging_messages_2031_w01"),
        ("2031-01-05T23:59:59.999Z", "messaging_messages_2031_w01"),
        ("2031-01-06T00:00:00.000Z", "messaging_messages_2031_w02"),
        ("2031-02-02T23:59:59.999Z", "messaging_messages_2031_w05"),
        ("2031-02-03T00:00:00.000Z", "messaging_messages_default"),
        ("2999-01-01T00:00:00.000Z", "messaging_messages_default"),
    ] {
        let message = of_time(time);
        messages.accept(&message, None).await.unwrap();
        assert_eq!(partition_of(&mut connection, message.id).await, partition, "{time}");
        assert!(messages.claim(message.id, node(), at(0)).await.unwrap().is_some());
    }
    // The default partition holds a row of w06 by now: that week cannot be made, and nothing fails for it.
    storage.maintain("2031-01-08T00:00:00Z".parse().unwrap()).await.unwrap();
    let weeks: Vec<String> = sqlx::query_scalar(
        "select relid::text from pg_partition_tree('messaging_message_attempts') where isleaf order by 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(weeks.contains(&"messaging_message_attempts_2031_w06".to_owned()));
    let now = message(MessageStatus::Queued, node());
    messages.accept(&now, None).await.unwrap();
    assert_ne!(partition_of(&mut connection, now.id).await, "messaging_messages_default");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_migrate_at_once() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let migrations = (0..4).map(|_| async { PgDatabase::connect_with(fresh.options()).await?.migrate().await });
    assert!(join_all(migrations).await.into_iter().all(|done| done.is_ok()));
}

#[tokio::test]
async fn no_error_tells_the_password() {
    for url in ["postgres://user:geheim@127.0.0.1:1/x", "postgres://user:geheim@127.0.0.1:port/x", "geheim"] {
        let error = PgDatabase::connect(url, Limits::default()).await.err().unwrap();
        assert!(!format!("{error:?} {error}").contains("geheim"));
    }
}
