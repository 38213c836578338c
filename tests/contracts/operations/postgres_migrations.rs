//! What the PostgreSQL adapter promises beyond the ports.

use std::time::Duration;

use correio::application::ports::MessageRepository;
use correio::domain::message::MessageStatus;
use correio::infrastructure::storage::postgres::{PgDatabase, PgMessageRepository};
use sqlx::{Connection, PgConnection};

use crate::support::databases::{FreshPostgres, migrations_until};
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{message, node};

/// Somebody reads for long, as a dump does: who brings the tables up to date meanwhile waits, and nobody waits behind him.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_in_use_are_brought_up_to_date_later() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let mut dump = PgConnection::connect_with(&fresh.options()).await.unwrap();
    sqlx::raw_sql(
        "alter table messaging_messages drop constraint messaging_messages_wait_for_a_time;
         delete from _sqlx_migrations where version = 3;",
    )
    .execute(&mut dump)
    .await
    .unwrap();
    let mut reading = dump.begin().await.unwrap();
    sqlx::raw_sql("lock table messaging_messages in access share mode").execute(&mut *reading).await.unwrap();

    let mut watch = PgConnection::connect_with(&fresh.options()).await.unwrap();
    let others = async {
        eventually(SOON, "it waits for the reader", async || {
            let waits = "select count(*) from pg_locks where not granted and locktype = 'relation'";
            (sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watch).await.unwrap() > 0).then_some(())
        })
        .await;
        let messages = PgMessageRepository::new(database.clone());
        let accepted = message(MessageStatus::Queued, node());
        tokio::time::timeout(Duration::from_secs(4), messages.accept(&accepted, None)).await.unwrap().unwrap();
        reading.commit().await.unwrap();
    };
    let (migrated, ()) = tokio::join!(database.migrate(), others);
    migrated.unwrap();
    let constraints = "select count(*) from pg_constraint
                        where conname = 'messaging_messages_wait_for_a_time'
                          and conrelid = 'messaging_messages'::regclass";
    assert_eq!(sqlx::query_scalar::<_, i64>(constraints).fetch_one(&mut watch).await.unwrap(), 1);
}

/// As it was before messages could be cancelled.
#[tokio::test]
async fn an_older_installation_learns_a_new_state() {
    let Some(fresh) = FreshPostgres::create().await else { return };
    let mut other = PgConnection::connect_with(&fresh.options()).await.unwrap();
    migrations_until("postgres", 3).await.run(&mut other).await.unwrap();
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    let accepted = message(MessageStatus::Queued, node());
    PgMessageRepository::new(database.clone()).accept(&accepted, None).await.unwrap();
    let cancel = "update messaging_messages set status = 'cancelled'";
    assert!(sqlx::raw_sql(cancel).execute(&mut other).await.unwrap_err().to_string().contains("status_check"));
    database.migrate().await.unwrap();
    assert_eq!(sqlx::raw_sql(cancel).execute(&mut other).await.unwrap().rows_affected(), 1);
    let no_state = "update messaging_messages set status = 'lost'";
    assert!(sqlx::raw_sql(no_state).execute(&mut other).await.unwrap_err().to_string().contains("status_check"));
}
