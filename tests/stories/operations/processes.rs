//! Several processes on one PostgreSQL and one Kafka.

use std::time::Duration;

use serde_json::json;

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::on_installation;
use crate::support::process::Process;
use crate::support::test_app::TestApp;

on_installation!(real_kafka:
    an_api_accepts_and_a_worker_delivers
    a_worker_serves_its_health_alone
    what_a_killed_worker_had_another_delivers
    a_worker_that_stops_in_good_order_finishes_what_it_has_and_leaves_the_rest
    a_frozen_worker_does_no_harm_and_goes_on_when_it_thaws
);

/// A group needs as long to notice that a member is gone.
const TAKEN_OVER: Duration = Duration::from_secs(60);

async fn processing(app: &TestApp, id: &str) {
    eventually(SOON, "it is processing", async || (app.sql_status(id).await == "processing").then_some(())).await;
}

async fn sent(app: &TestApp, id: &str) -> serde_json::Value {
    eventually(TAKEN_OVER, "it is sent", async || {
        Some(app.message(id).await).filter(|message| message["status"] == "sent")
    })
    .await
}

/// A worker that has joined its group.
async fn a_worker(app: &TestApp) -> Process {
    let worker = app.another("worker").await;
    let caller = app.caller_of(&worker);
    eventually(SOON, "it has joined", async || (caller.get("/health/ready").await.status == 200).then_some(())).await;
    worker
}

async fn an_api_accepts_and_a_worker_delivers(installation: Installation) {
    let app = TestApp::start_api(installation, &[]).await;
    let waiting = app.accepted(&app.send(&to_sandbox("5585999999999")).await);
    assert_eq!(app.get("/health/ready").await.status, 200, "an API needs no worker");
    let _worker = app.another("worker").await;
    assert_eq!(app.ended(&waiting).await["status"], "sent");
    app.sent(&to_sandbox("5585988888888")).await;
}

async fn a_worker_serves_its_health_alone(installation: Installation) {
    let app = TestApp::start_api(installation, &[]).await;
    let worker = a_worker(&app).await;
    let caller = app.caller_of(&worker);
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(caller.nobody().get(path).await.status, 200, "{path}");
    }
    for path in ["/api/messaging/messages", "/api/messaging/instances", "/api", "/api/openapi.json"] {
        assert_eq!(caller.get(path).await.status, 404, "{path}");
    }
    assert_eq!(caller.send(&to_sandbox("5585999999999")).await.status, 404);
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 0);
}

async fn what_a_killed_worker_had_another_delivers(installation: Installation) {
    let app = TestApp::start_api(installation, &[("NODE_TIMEOUT", "1s")]).await;
    let mut worker = a_worker(&app).await;
    let id = app.accepted(&app.send(&to_sandbox("slow-3000ms")).await);
    processing(&app, &id).await;
    worker.kill9();
    let _other = app.another("worker").await;

    let message = sent(&app, &id).await;
    assert_eq!(message["retries"], 2, "the try that died counts: {message}");
    let attempts = message["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, [&json!("unknown"), &json!("sent")], "{message}");
}

async fn a_worker_that_stops_in_good_order_finishes_what_it_has_and_leaves_the_rest(installation: Installation) {
    let app = TestApp::start_api(installation, &[("WORKER_CONCURRENCY", "1")]).await;
    let mut worker = a_worker(&app).await;
    let had = app.accepted(&app.send(&to_sandbox("slow-1500ms")).await);
    processing(&app, &had).await;
    let rest = app.accepted(&app.send(&to_sandbox("slow-1500ms")).await);
    worker.terminate();
    assert_eq!(worker.exited().await.code(), Some(0));
    assert_eq!((app.sql_status(&had).await, app.sql_status(&rest).await), ("sent".to_owned(), "queued".to_owned()));

    let _other = app.another("worker").await;
    let message = app.ended(&rest).await;
    assert_eq!((&message["status"], &message["retries"]), (&json!("sent"), &json!(1)), "{message}");
    assert_eq!(app.message(&had).await["retries"], 1);
}

async fn a_frozen_worker_does_no_harm_and_goes_on_when_it_thaws(installation: Installation) {
    let app = TestApp::start_api(installation, &[("NODE_TIMEOUT", "1s")]).await;
    let mut frozen = a_worker(&app).await;
    let id = app.accepted(&app.send(&to_sandbox("slow-1500ms")).await);
    processing(&app, &id).await;
    frozen.freeze();
    let mut other = app.another("worker").await;
    let taken_over = sent(&app, &id).await;
    assert_eq!(taken_over["retries"], 2, "{taken_over}");

    frozen.thaw();
    other.terminate();
    other.exited().await;
    // It delivers again, alone; by then its late outcome of the first message has lost.
    let next = app.accepted(&app.send(&to_sandbox("5585999999999")).await);
    sent(&app, &next).await;
    assert!(frozen.is_alive(), "a thawed worker goes on");
    assert_eq!(app.message(&id).await, taken_over);
}
