use correio::application::ports::{Accepted, MessageRepository, Storage};
use correio::domain::access::idempotency::KEPT;
use correio::domain::message::{Message, MessageStatus};
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::{Adapters, FreshPostgres};
use crate::support::given::{at, message, node, request};
use correio::infrastructure::storage::limits::Limits;
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository, PgStorage};

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
    assert!(!adapters.storage.delete_expired_keys(at(0) + KEPT).await.unwrap(), "there are no more");
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
    let all = join_all((0..5).map(|_| async {
        adapters.storage.maintain(far).await?;
        adapters.storage.delete_expired_keys(far).await
    }));
    assert!(all.await.into_iter().all(|done| done.is_ok()));
}

/// Of two clocks the one that is behind decides, where the database has one of its own.
#[tokio::test]
async fn a_process_whose_clock_is_ahead_voids_no_key() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let (storage, messages) = (PgStorage::new(database.clone()), PgMessageRepository::new(database));
    let (now, key) = (chrono::Utc::now(), request("k", 1));
    let first = Message { created_at: now, ..message(MessageStatus::Queued, node()) };
    messages.accept(&first, Some(&key)).await.unwrap();

    let ahead = now + chrono::Duration::days(30);
    storage.delete_expired_keys(ahead).await.unwrap();
    assert!(messages.kept_request(&first.tenant, &key.key, ahead).await.unwrap().is_some());
    let again = Message { created_at: ahead, ..message(MessageStatus::Queued, node()) };
    assert!(matches!(messages.accept(&again, Some(&key)).await.unwrap(), Accepted::KeyTaken(_)));
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
