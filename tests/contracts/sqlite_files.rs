//! What the SQLite adapter promises beyond the ports.

use correio::application::ports::RepositoryError;
use correio::infrastructure::sqlite::SqliteDatabase;
use futures::future::join_all;

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
