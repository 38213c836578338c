//! Operators come from the Node bridge.

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    what_the_bridge_had_kept_is_taken_over_once;
);

const OUTBOX: &str = "
    create table outbox (
        id integer primary key autoincrement, message_id text unique not null, topic text not null, key text, value text not null,
        timestamp integer not null, status text default 'pending', retry_count integer default 0, last_error text,
        created_at integer default (strftime('%s', 'now')), sent_at integer, kafka_offset text, kafka_partition integer);
    insert into outbox (message_id, topic, key, value, timestamp, status, retry_count)
    values ('nf-1-a', 'nf', '000001001', '{\"a\":1}', 1760116245123, 'pending', 0),
           ('nf-2-b', 'nf', null, '{\"a\":2}', 1760116245124, 'failed', 0),
           ('nf-3-c', 'nf', '3', '{\"a\":3}', 1760116245125, 'sent', 0),
           ('nf-4-d', 'nf', '4', '{\"a\":4}', 1760116245126, 'dlq', 5)";

async fn what_the_bridge_had_kept_is_taken_over_once(installation: Installation) {
    let path = installation.directory.path().join("outbox.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut former: SqliteConnection = options.connect().await.unwrap();
    former.execute(OUTBOX).await.unwrap();
    drop(former);
    let app = TestApp::start(installation).await;
    let path = path.to_str().unwrap();
    assert_eq!(app.correio(&["import-outbox", path, "--dry-run"]).await.trim(), "2");
    assert_eq!(app.correio(&["import-outbox", path]).await.trim(), "2");
    assert_eq!(app.correio(&["import-outbox", path, "--dead-letters"]).await.trim(), "1", "the others are known");
    let rows = app.sql("select topic, key, value, status, retry_count from outbox order by value").await;
    let row = |key: serde_json::Value, value: &str| json!({"topic": "nf", "key": key, "value": value, "status": "pending", "retry_count": 0});
    let expected =
        [row(json!("000001001"), r#"{"a":1}"#), row(json!(null), r#"{"a":2}"#), row(json!("4"), r#"{"a":4}"#)];
    assert_eq!(rows, expected);
}
