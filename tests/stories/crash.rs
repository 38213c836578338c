use reqwest::Method;
use serde_json::{Value, json};

use crate::support::test_app::{SOON, TestApp, TestDatabase, eventually, on_both_databases, to_sandbox};

on_both_databases!(
    what_a_killed_process_left_open_the_next_start_brings_to_its_end,
    a_caller_that_hangs_up_does_not_cancel_the_delivery,
    a_shutdown_finishes_fifty_sends_in_flight,
    a_shutdown_that_takes_too_long_leaves_its_messages_to_the_next_start,
    a_second_start_reuses_the_key_and_the_sandbox,
);

/// Starts to send, and returns when the message has its row: the channel is being called.
async fn begin_to_send(app: &TestApp, recipient: &str) -> (tokio::task::JoinHandle<()>, String) {
    let caller = app.caller();
    let body = to_sandbox(recipient);
    let sending = tokio::spawn(async move {
        let _hung_up_or_killed = caller.request(Method::POST, "/api/messaging/message/send").json(&body).send().await;
    });
    let query = format!("select id, status from messaging_messages where remote_jid = '{recipient}'");
    let rows = eventually(SOON, "the message has its row", async || {
        Some(app.sql(&query).await).filter(|rows| !rows.is_empty())
    })
    .await;
    assert_eq!(rows[0]["status"], "pending");
    (sending, rows[0]["id"].as_str().unwrap().to_owned())
}

async fn is_sent(app: &TestApp, id: &str) -> Value {
    eventually(SOON, "the message is sent", async || {
        Some(app.sql_message(id).await).filter(|row| row["status"] == "sent")
    })
    .await
}

async fn what_a_killed_process_left_open_the_next_start_brings_to_its_end(database: TestDatabase) {
    // A start on SQLite knows that it is alone. On PostgreSQL the silence of the other node has to tell.
    let mut app = TestApp::start_with(database, &[("NODE_TIMEOUT", "1s")]).await;
    let (sending, id) = begin_to_send(&app, "slow-1500ms").await;
    app.kill9();
    sending.await.unwrap();
    assert_eq!(app.sql_status(&id).await, "pending");

    app.restart().await;
    let row = is_sent(&app, &id).await;
    assert_eq!(row["retries"], 2, "the try that died counts");
    let attempts = app.message(&id).await["attempts"].clone();
    let outcomes: Vec<_> = attempts.as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("unknown"), json!("sent")], "{attempts}");
}

async fn a_caller_that_hangs_up_does_not_cancel_the_delivery(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let (sending, id) = begin_to_send(&app, "slow-1500ms").await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());

    assert_eq!(is_sent(&app, &id).await["retries"], 1);
}

async fn a_shutdown_finishes_fifty_sends_in_flight(database: TestDatabase) {
    const SENDS: i64 = 50;

    let mut app = TestApp::start(database).await;
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..SENDS {
        let caller = app.caller();
        // To one recipient: in the sandbox nobody waits for anybody, or this would take longer than a shutdown may.
        sends.spawn(async move { caller.send(&to_sandbox("slow-1500ms")).await });
    }
    eventually(SOON, "all are in flight", async || {
        let open = app.sql_number("select count(*) from messaging_messages").await;
        (open == SENDS).then_some(())
    })
    .await;
    app.terminate();

    for answer in sends.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    assert_eq!(app.ended().await.code(), Some(0));
    assert_eq!(app.sql_number("select count(*) from messaging_messages where status = 'sent'").await, SENDS);
    assert_eq!(app.sql_number("select count(*) from messaging_nodes where left_at is null").await, 0);
    let log = app.log().join("\n");
    assert!(log.contains("\"stopped\"") && !log.contains("panicked"), "{log}");
}

async fn a_shutdown_that_takes_too_long_leaves_its_messages_to_the_next_start(database: TestDatabase) {
    let settings = [("SHUTDOWN_TIMEOUT", "300ms"), ("NODE_TIMEOUT", "1s")];
    let mut app = TestApp::start_with(database, &settings).await;
    let (sending, id) = begin_to_send(&app, "slow-3000ms").await;
    app.terminate();
    assert_eq!(app.ended().await.code(), Some(0));
    sending.await.unwrap();
    assert_eq!(app.sql_status(&id).await, "pending");

    app.restart().await;
    is_sent(&app, &id).await;
}

async fn a_second_start_reuses_the_key_and_the_sandbox(database: TestDatabase) {
    let mut app = TestApp::start(database).await;
    let sandbox = app.get("/api/messaging/instances").await.data();
    assert_eq!(sandbox.as_array().unwrap().len(), 1, "{sandbox}");
    app.terminate();
    assert_eq!(app.ended().await.code(), Some(0));

    app.restart().await;
    assert_eq!(app.get("/api/messaging/instances").await.data(), sandbox);
    assert_eq!(app.sql_number("select count(*) from api_keys").await, 1);
    assert_eq!(app.sql_number("select count(*) from messaging_instances").await, 1);
    assert_eq!(app.send(&to_sandbox("5585999999999")).await.status, 200);
    assert!(!app.log().iter().any(|line| line.contains("curl")), "a newcomer is greeted once");
}
