//! What the SQLite adapter promises beyond the ports.

use correio::application::ports::RepositoryError;
use correio::domain::message::MessageStatus;
use correio::infrastructure::storage::sqlite::SqliteDatabase;
use futures::future::join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use crate::support::databases::migrations_until;
use crate::support::given::{message, node};

#[tokio::test]
async fn an_installation_is_locked_while_the_guard_lives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("correio.db");
    let (one, other) = (SqliteDatabase::open(&path).await.unwrap(), SqliteDatabase::open(&path).await.unwrap());
    let guard = one.lock_installation().unwrap();
    assert!(matches!(other.lock_installation(), Err(RepositoryError::Conflict)));
    // Whoever administers it still can.
    other.migrate().await.unwrap();
    drop(guard);
    other.lock_installation().unwrap();
}

#[tokio::test]
async fn what_would_be_stored_in_a_file_that_was_moved_is_refused_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let (data, aside) = (directory.path().join("data"), directory.path().join("aside"));
    let path = data.join("correio.db");
    let database = SqliteDatabase::open(&path).await.unwrap();
    database.migrate().await.unwrap();
    let _guard = database.lock_installation().unwrap();
    let stores = database.stores();
    let accept = async || stores.messages.accept(&message(MessageStatus::Queued, node()), None).await;
    accept().await.unwrap();
    assert!(stores.storage.troubles().is_empty());

    std::fs::rename(&data, &aside).unwrap();
    let refusal = accept().await.err().unwrap();
    assert!(refusal.to_string().contains(path.to_str().unwrap()), "{refusal}");
    stores.storage.ping().await.unwrap_err();
    assert!(stores.storage.troubles()[0].starts_with(path.to_str().unwrap()));
    // Another process in its place.
    SqliteDatabase::open(&path).await.unwrap().migrate().await.unwrap();
    assert!(accept().await.is_err());

    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&aside, &data).unwrap();
    accept().await.unwrap();
    stores.storage.ping().await.unwrap();
    // Without the file that it has locked, it cannot keep others out.
    std::fs::remove_file(data.join("correio.db.lock")).unwrap();
    assert!(accept().await.err().unwrap().to_string().contains("correio.db.lock"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_start_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("correio.db");
    let starts = (0..8).map(|_| {
        let path = path.clone();
        tokio::spawn(async move { SqliteDatabase::open(&path).await?.migrate().await })
    });
    for start in join_all(starts).await {
        start.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_said_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("correio.db");
    std::fs::write(&path, "this is no database, and longer than the header of one would have to be to be taken for it")
        .unwrap();
    assert!(matches!(SqliteDatabase::open(&path).await, Err(RepositoryError::Corrupt(_))));
}

/// Of what somebody had written by hand before the tables refused it.
#[tokio::test]
async fn an_older_installation_with_rows_that_would_never_end_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("correio.db");
    let database = SqliteDatabase::open(&path).await.unwrap();
    database.migrate().await.unwrap();
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let triggers = "select name from sqlite_schema where type = 'trigger'";
    for name in sqlx::query_scalar::<_, String>(triggers).fetch_all(&mut connection).await.unwrap() {
        sqlx::raw_sql(AssertSqlSafe(format!("drop trigger {name}"))).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql("delete from _sqlx_migrations where version = 3").execute(&mut connection).await.unwrap();
    for (id, time) in [("none", "null"), ("timed", "'2026-11-23T12:00:00.000Z'"), ("nonsense", "'tomorrow'")] {
        let row = format!(
            "insert into messaging_messages
                 (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, direction,
                  status, retries, try, max_retries, next_attempt_at, created_at, updated_at)
             values ('{id}', 'acme', 'ana', '01a20847-0000-7000-8000-000000000000', 'webhook', 'hook', 'bia', 'sent',
                     'queued', 0, 0, 3, {time}, '2026-11-23T12:00:00.000Z', '2026-11-23T12:00:00.000Z')"
        );
        sqlx::raw_sql(AssertSqlSafe(row)).execute(&mut connection).await.unwrap();
    }
    database.migrate().await.unwrap();
    let ended = "select count(*) from messaging_messages where status = 'failed' and error = 'Its id is no UUID.'";
    assert_eq!(sqlx::query_scalar::<_, i64>(ended).fetch_one(&mut connection).await.unwrap(), 3);
}

/// As it was before messages could be cancelled.
#[tokio::test]
async fn an_older_installation_learns_a_new_state_while_somebody_else_has_it_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("correio.db");
    let mut other =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path).create_if_missing(true))
            .await
            .unwrap();
    migrations_until("sqlite", 3).await.run(&mut other).await.unwrap();
    let cancel = "update messaging_messages set status = 'cancelled'";
    let row = "insert into messaging_messages
                   (id, tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, direction,
                    status, retries, try, max_retries, created_at, updated_at)
               values ('01a20847-0000-7000-8000-000000000001', 'acme', 'ana', '01a20847-0000-7000-8000-000000000000',
                       'webhook', 'hook', 'bia', 'sent',
                       'queued', 0, 0, 3, '2026-11-23T12:00:00.000Z', '2026-11-23T12:00:00.000Z')";
    sqlx::raw_sql(row).execute(&mut other).await.unwrap();
    assert!(sqlx::raw_sql(cancel).execute(&mut other).await.unwrap_err().to_string().contains("CHECK"));

    let database = SqliteDatabase::open(&path).await.unwrap();
    database.migrate().await.unwrap();
    assert_eq!(sqlx::raw_sql(cancel).execute(&mut other).await.unwrap().rows_affected(), 1);
    let no_state = "update messaging_messages set status = 'lost'";
    assert!(sqlx::raw_sql(no_state).execute(&mut other).await.unwrap_err().to_string().contains("CHECK"));
    let counted = "select count from messaging_status_counts where status = 'cancelled'";
    assert_eq!(sqlx::query_scalar::<_, i64>(counted).fetch_one(&mut other).await.unwrap(), 1);
    let sound = sqlx::query_scalar::<_, String>("pragma integrity_check").fetch_one(&mut other).await.unwrap();
    assert_eq!(sound, "ok");
}

/// A reader that looks long keeps all that is written meanwhile in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_has_grown_is_small_again_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("correio.db");
    let database = SqliteDatabase::open(&path).await.unwrap();
    database.migrate().await.unwrap();
    let log = || std::fs::metadata(path.with_file_name("correio.db-wal")).unwrap().len();
    let messages = database.stores().messages;
    let accept = async || {
        let mut large = message(MessageStatus::Queued, node());
        large.content.text = Some("x".repeat(1_000_000));
        messages.accept(&large, None).await.unwrap();
    };

    let mut reader = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let mut looking = reader.begin().await.unwrap();
    sqlx::query("select count(*) from messaging_messages").execute(&mut *looking).await.unwrap();
    while log() < 40_000_000 {
        accept().await;
    }
    looking.rollback().await.unwrap();
    // The first one writes the log back into the file, the second one begins it anew.
    accept().await;
    accept().await;
    assert!(log() <= 16 << 20, "{}", log());
}
