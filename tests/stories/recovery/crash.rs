use reqwest::Method;
use serde_json::{Value, json};

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_caller_that_hangs_up_does_not_cancel_the_delivery;
    on_both_databases:
    a_second_start_reuses_the_key_and_the_sandbox;
    on_every_queue:
    a_shutdown_finishes_fifty_sends_in_flight;
    on_every_installation:
    what_a_killed_process_left_open_the_next_start_brings_to_its_end,
    a_shutdown_that_takes_too_long_leaves_its_messages_to_the_next_start;
);

/// The state of a message while its channel is called.
fn under_way(app: &TestApp) -> &'static str {
    if app.waits() { "pending" } else { "processing" }
}

/// Starts to send, and returns when the channel is being called.
async fn begin_to_send(app: &TestApp, recipient: &str) -> (tokio::task::JoinHandle<()>, String) {
    let caller = app.caller();
    let body = to_sandbox(recipient);
    let sending = tokio::spawn(async move {
        let _hung_up_or_killed = caller.request(Method::POST, "/api/messaging/message/send").json(&body).send().await;
    });
    let query = format!("select id, status from messaging_messages where remote_jid = '{recipient}'");
    let rows = eventually(SOON, "the message is under way", async || {
        Some(app.sql(&query).await).filter(|rows| rows.first().is_some_and(|row| row["status"] == under_way(app)))
    })
    .await;
    (sending, rows[0]["id"].as_str().unwrap().to_owned())
}

async fn is_sent(app: &TestApp, id: &str) -> Value {
    eventually(SOON, "the message is sent", async || {
        Some(app.sql_message(id).await).filter(|row| row["status"] == "sent")
    })
    .await
}

async fn what_a_killed_process_left_open_the_next_start_brings_to_its_end(installation: Installation) {
    // A start on SQLite knows that it is alone. On PostgreSQL the silence of the other node has to tell.
    let mut app = TestApp::start_with(installation, &[("NODE_TIMEOUT", "1s")]).await;
    let (sending, id) = begin_to_send(&app, "slow-1500ms").await;
    app.kill9();
    sending.await.unwrap();
    assert_eq!(app.sql_status(&id).await, under_way(&app));

    app.restart().await;
    let row = is_sent(&app, &id).await;
    assert_eq!(row["retries"], 2, "the try that died counts");
    let attempts = app.message(&id).await["attempts"].clone();
    let outcomes: Vec<_> = attempts.as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone()).collect();
    assert_eq!(outcomes, [json!("unknown"), json!("sent")], "{attempts}");
}

async fn a_caller_that_hangs_up_does_not_cancel_the_delivery(installation: Installation) {
    let app = TestApp::start(installation).await;
    let (sending, id) = begin_to_send(&app, "slow-1500ms").await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());

    assert_eq!(is_sent(&app, &id).await["retries"], 1);
}

async fn a_shutdown_finishes_fifty_sends_in_flight(installation: Installation) {
    const SENDS: i64 = 50;

    // All of them are of one instance.
    let mut app = TestApp::start_with(installation, &[("INSTANCE_CONCURRENCY", "64")]).await;
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..SENDS {
        let caller = app.caller();
        // Each to another recipient: whoever shares one waits for the one before.
        sends.spawn(async move { caller.send(&to_sandbox(&format!("slow-3000ms-{number}"))).await });
    }
    let in_flight = format!("select count(*) from messaging_messages where status = '{}'", under_way(&app));
    eventually(SOON, "all are in flight", async || (app.sql_number(&in_flight).await == SENDS).then_some(())).await;
    app.terminate();

    for answer in sends.join_all().await {
        app.accepted(&answer);
    }
    assert_eq!(app.exited().await.code(), Some(0));
    assert_eq!(app.sql_number("select count(*) from messaging_messages where status = 'sent'").await, SENDS);
    assert_eq!(app.sql_number("select count(*) from messaging_nodes where left_at is null").await, 0);
    let log = app.log().join("\n");
    assert!(log.contains("\"stopped\"") && !log.contains("panicked"), "{log}");
}

async fn a_shutdown_that_takes_too_long_leaves_its_messages_to_the_next_start(installation: Installation) {
    let settings = [("SHUTDOWN_TIMEOUT", "300ms"), ("NODE_TIMEOUT", "1s")];
    let mut app = TestApp::start_with(installation, &settings).await;
    let (sending, id) = begin_to_send(&app, "slow-3000ms").await;
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    sending.await.unwrap();
    assert_eq!(app.sql_status(&id).await, under_way(&app));

    app.restart().await;
    is_sent(&app, &id).await;
}

async fn a_second_start_reuses_the_key_and_the_sandbox(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    let sandbox = app.get("/api/messaging/instances").await.data();
    assert_eq!(sandbox.as_array().unwrap().len(), 1, "{sandbox}");
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));

    app.restart().await;
    assert_eq!(app.get("/api/messaging/instances").await.data(), sandbox);
    assert_eq!(app.sql_number("select count(*) from api_keys").await, 1);
    assert_eq!(app.sql_number("select count(*) from messaging_instances").await, 1);
    app.sent(&to_sandbox("5585999999999")).await;
    assert!(!app.log().iter().any(|line| line.contains("curl")), "a newcomer is greeted once");
}
