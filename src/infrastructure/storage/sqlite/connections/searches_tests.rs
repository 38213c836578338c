use std::time::Duration;

use futures::FutureExt;
use sqlx::{QueryBuilder, Sqlite};
use tempfile::TempDir;
use tokio::time::timeout;

use super::SqliteDatabase;
use crate::application::ports::SearchError;
use crate::domain::node::NodeId;
use crate::infrastructure::storage::limits::Limits;

/// Longer than anything may take that does not wait for a search.
const PROMPTLY: Duration = Duration::from_secs(5);

/// Has no row to return, and no end.
fn endless() -> QueryBuilder<Sqlite> {
    QueryBuilder::new("with recursive n (i) as (select 1 union all select i + 1 from n) select i from n where i < 0")
}

fn short() -> QueryBuilder<Sqlite> {
    QueryBuilder::new("select 1")
}

async fn database(searches: u32, search_patience: Duration) -> (TempDir, SqliteDatabase) {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { searches, search_patience, ..Limits::default() };
    let database = SqliteDatabase::open_within(&directory.path().join("correio.db"), limits).await.unwrap();
    database.migrate().await.unwrap();
    (directory, database)
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_ended_and_leaves_its_place() {
    let (_directory, database) = database(1, Duration::from_millis(100)).await;
    let ended = timeout(PROMPTLY, database.searches().find(None, endless())).await.expect("it is ended");
    assert!(matches!(ended, Err(SearchError::TooLong)), "{ended:?}");
    assert_eq!(database.searches().find(None, short()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_search_whose_caller_has_hung_up_ends() {
    let (_directory, database) = database(1, Duration::from_secs(3_600)).await;
    for _ in 0..3 {
        let hung_up = timeout(Duration::from_millis(50), database.searches().find(None, endless())).await;
        assert!(hung_up.is_err(), "{hung_up:?}");
    }
    let next = timeout(PROMPTLY, database.searches().find(None, short())).await.expect("the place is free");
    assert_eq!(next.unwrap().len(), 1);
}

#[tokio::test]
async fn one_search_too_many_waits_for_its_turn_and_not_for_ever() {
    let (_directory, database) = database(1, Duration::from_millis(300)).await;
    let mut running = Box::pin(database.searches().find(None, endless()));
    assert!(running.as_mut().now_or_never().is_none());
    let (ended, waited) = tokio::join!(running, database.searches().find(None, endless()));
    assert!(matches!(ended, Err(SearchError::TooLong)), "{ended:?}");
    assert!(matches!(waited, Err(SearchError::Busy | SearchError::TooLong)), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_messages_going_waits_for_no_search() {
    let (_directory, database) = database(2, Duration::from_secs(3_600)).await;
    let searches: Vec<_> = (0..6)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { database.searches().find(None, endless()).await.map(|_| ()) })
        })
        .collect();
    let stores = database.stores();
    let going_on = async {
        stores
            .nodes
            .register(NodeId(uuid::Uuid::nil()), NodeId(uuid::Uuid::nil()), Default::default(), chrono::Utc::now())
            .await
            .unwrap();
        assert!(stores.nodes.beat(NodeId(uuid::Uuid::nil())).await.unwrap());
        stores.storage.ping().await.unwrap();
        stores.api_keys.find_by_hash(&[0; 32]).await.unwrap();
        assert!(stores.due.in_delivery(&[]).await.unwrap().is_empty());
    };
    timeout(PROMPTLY, going_on).await.expect("it waits for a search");
    searches.iter().for_each(tokio::task::JoinHandle::abort);
}
