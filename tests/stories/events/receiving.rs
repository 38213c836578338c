//! A CRM's webhooks, which are never refused.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::crm_client::{self, Report};
use crate::support::databases::FreshPostgres;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::{Installation, Mode};
use crate::support::modes::stories;
use crate::support::postgres_server::PostgresServer;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    the_crms_client_finds_everything_up,
    an_event_is_stored_as_it_came_with_what_its_readers_know,
    a_repeat_is_stored_once,
    in_emergency_mode_events_wait_for_its_end,
    what_waits_in_the_spool_survives_the_process;
);

/// Longer than any answer may take.
const A_SECOND: Duration = Duration::from_secs(1);

fn all_went(report: &Report, method: &str) {
    assert_eq!((report.successful, report.failed), (8, 0), "{report:?}");
    assert!(report.methods.iter().all(|used| used == method), "{report:?}");
    assert!(report.longest < A_SECOND, "{report:?}");
}

async fn stored(app: &TestApp) -> i64 {
    app.sql_number("select count(*) from messaging_events").await
}

async fn are_stored(app: &TestApp, ids: &[String]) {
    let wanted = i64::try_from(ids.len()).unwrap();
    eventually(SOON, "every event is stored", async || (stored(app).await >= wanted).then_some(())).await;
    for id in ids {
        let query = format!("select count(*) from messaging_events where name = '{id}'");
        assert_eq!(app.sql_number(&query).await, 1, "{id}");
    }
    assert_eq!(stored(app).await, wanted);
}

async fn the_crms_client_finds_everything_up(installation: Installation) {
    let app = TestApp::start(installation).await;
    let report = crm_client::run(&app).await;
    all_went(&report, "direct-db");
    are_stored(&app, &report.ids).await;
}

async fn an_event_is_stored_as_it_came_with_what_its_readers_know(installation: Installation) {
    let app = TestApp::start(installation).await;
    let [deal, person, _] = crm_client::posts();
    for (body, company, kind) in [(deal, "Matriz", "deal.added"), (person, "Itapema", "person.updated")] {
        let answer = app.nobody().post("/webhook", &body).await;
        assert_eq!(answer.status, 202);
        let said = answer.json();
        let id = said["webhookId"].as_str().unwrap().to_owned();
        let action = body["meta"]["action"].as_str().unwrap();
        assert_eq!(said["status"], "accepted");
        assert_eq!(said["message"], format!("Webhook '{action}' recebido e garantido para processamento"));
        assert!(said["processingTime"].is_u64(), "{said}");
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(format!("{}.{}", parts[0], parts[1]), kind);
        assert!(parts.len() == 4 && parts[2].len() == 13 && parts[3].len() == 9, "{id}");
        let rows = app.sql(&format!("select * from messaging_events where name = '{id}'")).await;
        let data: Value = serde_json::from_str(rows[0]["data"].as_str().unwrap()).unwrap();
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(data[name], *value);
        }
        assert_eq!((&data["webhookId"], &data["empresa"]), (&json!(id), &json!(company)));
        assert!(data["processedAt"].is_string() && data["receivedAt"].is_string(), "{data}");
        assert!(data["processingStartTime"].is_u64(), "{data}");
        assert_eq!(rows[0]["type"], kind);
        eventually(SOON, "no subscription wants it", async || {
            let query = format!("select count(*) from messaging_events where name = '{id}' and status = 'processed'");
            (app.sql_number(&query).await == 1).then_some(())
        })
        .await;
        assert_eq!(rows[0]["tenant"], "default");
    }
    eventually(SOON, "Prometheus counts them", async || {
        let text = app.call(app.request(Method::GET, "/metrics").header("accept", "text/plain")).await.text();
        let wanted = ["\nevents_received_total 2\n", "\nevents_processed_total 2\n", "\nevents_failed_total 0\n"];
        wanted.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
}

async fn a_repeat_is_stored_once(installation: Installation) {
    let app = TestApp::start(installation).await;
    let meta = json!({"action": "change", "company_id": "15747575", "entity_id": "178", "entity": "deal",
        "id": "018f", "timestamp": "2026-05-27T06:54:41.426Z", "version": "2.0", "webhook_id": "1872755", "attempt": 1});
    let mut body = json!({"data": {"id": 178}, "previous": {"stage_id": 11}, "meta": meta});
    let first = app.nobody().post("/webhook", &body).await.json();
    for attempt in 2..=4 {
        body["meta"]["attempt"] = json!(attempt);
        let again = app.nobody().post("/webhook", &body).await;
        assert_eq!((again.status, &again.json()["webhookId"]), (202, &first["webhookId"]));
    }
    body["meta"]["webhook_id"] = json!("1");
    assert_ne!(app.nobody().post("/webhook", &body).await.json()["webhookId"], first["webhookId"]);
    assert_eq!(stored(&app).await, 2);
}

async fn in_emergency_mode_events_wait_for_its_end(installation: Installation) {
    let app = TestApp::start_with(installation, &[("EMERGENCY_MODE", "true")]).await;
    let health = app.nobody().get("/health").await;
    assert_eq!(health.status, 200);
    let said = health.json();
    assert_eq!((&said["emergencyMode"], &said["services"]["database"]), (&json!(true), &json!("disabled-emergency")));
    let report = crm_client::run(&app).await;
    all_went(&report, "emergency-file");
    assert_eq!(app.nobody().get("/stats").await.json()["pendingFallbackFiles"], 8);
    assert_eq!(stored(&app).await, 0);
    assert_eq!(app.nobody().post("/admin/emergency", &json!({"enabled": false})).await.status, 401);
    let ended = app.post("/admin/emergency", &json!({"enabled": false})).await;
    assert_eq!((ended.status, ended.json()), (200, json!({"emergencyMode": false})));
    are_stored(&app, &report.ids).await;
    // From another process, for this one.
    app.correio(&["emergency", "on"]).await;
    let is_on = async || (app.nobody().get("/stats").await.json()["emergencyMode"] == true).then_some(());
    eventually(SOON, "the command is noticed", is_on).await;
    app.correio(&["emergency", "off"]).await;
    let is_off = async || (app.nobody().get("/stats").await.json()["emergencyMode"] == false).then_some(());
    eventually(SOON, "the command is noticed", is_off).await;
}

async fn what_waits_in_the_spool_survives_the_process(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("EMERGENCY_MODE", "true")]).await;
    let report = crm_client::run(&app).await;
    app.kill9();
    let status = app.correio(&["spool", "status"]).await;
    assert!(status.contains("8 events"), "{status}");
    app.set("EMERGENCY_MODE", "false");
    app.restart().await;
    are_stored(&app, &report.ids).await;
    assert_eq!(app.nobody().get("/stats").await.json()["pendingFallbackFiles"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_empties_the_spool_of_a_process_that_has_ended() {
    let Some(installation) = Installation::sqlite().await else { return };
    let mut app = TestApp::start_with(installation, &[("EMERGENCY_MODE", "true")]).await;
    let report = crm_client::run(&app).await;
    app.kill9();
    let drained = app.correio(&["spool", "drain"]).await;
    assert!(drained.contains('8'), "{drained}");
    are_stored(&app, &report.ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crms_client_finds_the_database_dead_and_back() {
    let Some(mut server) = PostgresServer::start().await else { return };
    let fresh = FreshPostgres::on(server.options()).await;
    let app = TestApp::start(Installation::new(Some(fresh), Mode::Direct)).await;
    let mut report = crm_client::run(&app).await;
    all_went(&report, "direct-db");
    server.kill();
    let away = crm_client::run(&app).await;
    all_went(&away, "fallback-file");
    let health = app.nobody().get("/health").await;
    assert_eq!((health.status, &health.json()["services"]["database"]), (206, &json!("error")));
    server.restart().await;
    report.ids.extend(away.ids);
    are_stored(&app, &report.ids).await;
    let is_back = async || (crm_client::run(&app).await.methods[7] == "direct-db").then_some(());
    eventually(SOON, "events go to the database again", is_back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crms_client_finds_the_database_frozen_and_thawed() {
    let Some(server) = PostgresServer::start().await else { return };
    let fresh = FreshPostgres::on(server.options()).await;
    let app = TestApp::start(Installation::new(Some(fresh), Mode::Direct)).await;
    server.freeze();
    let report = crm_client::run(&app).await;
    server.thaw();
    all_went(&report, "fallback-file");
    are_stored(&app, &report.ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_its_database_takes_webhooks_and_becomes_whole_when_it_comes() {
    let Some(mut server) = PostgresServer::start().await else { return };
    let fresh = FreshPostgres::on(server.options()).await;
    let mut app = TestApp::start(Installation::new(Some(fresh), Mode::Direct)).await;
    server.kill();
    app.kill9();
    app.restart().await;
    let report = crm_client::run(&app).await;
    all_went(&report, "fallback-file");
    let health = app.nobody().get("/health").await;
    assert_eq!((health.status, &health.json()["services"]["database"]), (206, &json!("error")));
    for path in ["/health/ready", "/api/messaging/messages"] {
        assert_eq!(app.get(path).await.status, 503, "{path}");
    }
    assert_eq!(app.nobody().get("/health/live").await.status, 200);
    server.restart().await;
    let is_whole = async || (app.get("/health/ready").await.status == 200).then_some(());
    eventually(SOON, "it is whole", is_whole).await;
    are_stored(&app, &report.ids).await;
    assert_eq!(app.get("/api/messaging/messages").await.status, 200);
    let is_well = async || (app.nobody().get("/health").await.status == 200).then_some(());
    eventually(SOON, "it is well", is_well).await;
    app.terminate();
    assert!(app.exited().await.success());
}
