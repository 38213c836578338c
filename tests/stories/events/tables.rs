//! Events in tables, as a CRM's reports read them.

use serde_json::{Value, json};

use super::crm_client;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::run;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_file_that_cannot_be_used_stops_the_start;
    on_both_databases:
    events_are_written_to_the_tables_that_are_planned,
    what_waited_in_the_spool_is_written_once;
);

const PLAN: &str = r#"{"tables": {
    "webhook_deal": {"columns": {"id": "TEXT", "title": "TEXT", "stage_id": "TEXT", "person_id.name": "TEXT", "event": "TEXT"}},
    "webhook_person": {"values": "plain", "columns": {"id": "TEXT", "name": "TEXT"}},
    "webhook_full_log": {"columns": {"event": "TEXT", "payload": "JSON"}}}}"#;

async fn started(installation: Installation, settings: &[(&str, &str)]) -> TestApp {
    let file = installation.directory.path().join("config.json");
    std::fs::write(&file, PLAN).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let settings = [&[("WEBHOOK_TABLES", path.as_str())], settings].concat();
    TestApp::start_with(installation, &settings).await
}

async fn rows(app: &TestApp, table: &str, count: usize) -> Vec<Value> {
    let query = format!("select * from {table} order by auto_id");
    eventually(SOON, "the rows are written", async || {
        let there = "select count(*) from messaging_events where status = 'processed'";
        if app.sql_number(there).await < i64::try_from(count).unwrap() {
            return None;
        }
        Some(app.sql(&query).await)
    })
    .await
}

async fn events_are_written_to_the_tables_that_are_planned(installation: Installation) {
    let app = started(installation, &[]).await;
    let change = json!({"data": {"id": 178, "title": "Negócio", "stage_id": 12, "person_id": 7}, "previous": {"stage_id": 11},
        "meta": {"action": "change", "entity": "deal", "id": "018f", "company_id": "13881612", "webhook_id": "1", "version": "2.0"}});
    let deleted = json!({"data": null, "previous": {"id": 178, "title": null},
        "meta": {"action": "delete", "entity": "deal", "id": "0190", "company_id": "13881612", "webhook_id": "1", "version": "2.0"}});
    for body in [&change, &deleted, &change] {
        assert_eq!(app.nobody().post("/webhook", body).await.status, 202);
    }
    let [_, person, activity] = crm_client::posts();
    for body in [&person, &activity] {
        assert_eq!(app.nobody().post("/webhook", body).await.status, 202);
    }
    let log = rows(&app, "webhook_full_log", 4).await;
    assert_eq!(log.len(), 4, "{log:?}");
    assert_eq!(
        (&log[0]["event"], &log[0]["entity"], &log[0]["empresa"]),
        (&json!("change"), &json!("deal"), &json!("Matriz"))
    );
    assert_eq!(log[0]["delivery_status"], "direct-db");
    let payload: Value = serde_json::from_str(log[0]["payload"].as_str().unwrap()).unwrap();
    assert_eq!((&payload["data"], payload["webhookId"].is_string()), (&change["data"], true));
    let deals = app.sql("select * from webhook_deal order by auto_id").await;
    assert_eq!(deals.len(), 2);
    let is_deleted = |row: &Value| row["deleted"] == json!(true) || row["deleted"] == json!(1);
    assert_eq!((&deals[0]["id"], &deals[0]["title"]), (&json!("178"), &json!("\"Negócio\"")));
    assert_eq!((&deals[0]["stage_id"], &deals[0]["event"]), (&json!("12"), &json!("change")));
    assert_eq!((&deals[1]["id"], &deals[1]["title"]), (&json!("178"), &json!("null")));
    assert_eq!((is_deleted(&deals[0]), is_deleted(&deals[1])), (false, true));
    let people = app.sql("select * from webhook_person").await;
    assert_eq!((&people[0]["name"], &people[0]["empresa"]), (&json!("João"), &json!("Itapema")));
}

async fn what_waited_in_the_spool_is_written_once(installation: Installation) {
    let app = started(installation, &[("EMERGENCY_MODE", "true")]).await;
    let report = crm_client::run(&app).await;
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(app.post("/admin/emergency", &json!({"enabled": false})).await.status, 200);
    let log = rows(&app, "webhook_full_log", 8).await;
    assert_eq!(log.len(), 8);
    assert!(log.iter().all(|row| row["delivery_status"] == "delivered"));
}

async fn a_file_that_cannot_be_used_stops_the_start(installation: Installation) {
    let file = installation.directory.path().join("config.json");
    std::fs::write(&file, r#"{"tables": {"deal": {}}}"#).unwrap();
    let setting = ("WEBHOOK_TABLES".to_owned(), file.to_str().unwrap().to_owned());
    let output = run(installation.directory.path(), &[setting], &["serve"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WEBHOOK_TABLES") && said.contains("`deal`"), "{said}");
}
