//! What an earlier receiver has kept is taken over.

use serde_json::json;

use super::crm_client;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(on_both_databases: what_an_earlier_receiver_kept_is_imported_once;);

async fn what_an_earlier_receiver_kept_is_imported_once(installation: Installation) {
    let app = TestApp::start(installation).await;
    let directory = app.installation.directory.path().join("fallback-webhooks");
    std::fs::create_dir(&directory).unwrap();
    for (number, mut body) in crm_client::posts().into_iter().enumerate() {
        let id = format!("deal-added-175404960012{number}-abcdefghi");
        body["webhookId"] = json!(id);
        body["receivedAt"] = json!("2025-08-01T12:00:00.123Z");
        body["fallbackReason"] = json!("kafka-and-db-failed");
        let text = serde_json::to_string_pretty(&body).unwrap();
        std::fs::write(directory.join(format!("webhook-{id}.json")), text).unwrap();
    }
    std::fs::write(directory.join("webhook-torn.json"), "{").unwrap();
    let logged = json!({"meta": {"entity": "deal", "action": "updated"}, "webhookId": "deal-updated-1-it's", "current": {"id": 1}});
    let payload = logged.to_string().replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\\\"");
    let dump = app.installation.directory.path().join("dump.sql");
    let line = format!(
        "INSERT INTO `webhook_full_log` VALUES (1,'updated','deal','{payload}','Matriz','delivered',3,'2025-08-01 12:00:00');"
    );
    std::fs::write(&dump, format!("-- MySQL dump\n{line}\nUNLOCK TABLES;\n")).unwrap();
    let arguments = ["events", "import", "--files", directory.to_str().unwrap(), "--dump", dump.to_str().unwrap()];
    assert_eq!(app.correio(&arguments).await, "4 events imported, 0 were there");
    assert_eq!(app.correio(&arguments).await, "0 events imported, 4 were there");
    eventually(SOON, "no subscription wants those that were not handled", async || {
        let query = "select count(*) from messaging_events where status = 'processed'";
        (app.sql_number(query).await == 4).then_some(())
    })
    .await;
    let rows = app.sql("select name, via, status, received_at from messaging_events order by name").await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(rows.iter().all(|row| row["via"] == "import" && row["status"] == "processed"), "{rows:?}");
    assert_eq!(rows[3]["name"], "deal-updated-1-it's");
}
