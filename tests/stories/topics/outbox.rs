//! What the operators of the Node bridge query, and how they put dead letters back on their way.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::publishing::{post, topic};
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    in_kafka_mode:
    a_record_for_a_topic_that_is_not_there_is_tried_and_becomes_a_dead_letter_that_can_be_put_back;
);

/// Five tries, 4.5 s apart together, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

async fn a_record_for_a_topic_that_is_not_there_is_tried_and_becomes_a_dead_letter_that_can_be_put_back(
    installation: Installation,
) {
    let dead_letters = installation.topic_name("dlq");
    let settings = [("DLQ_TOPIC", dead_letters.as_str()), ("TOPICS_CONFIRM_TIMEOUT", "100ms")];
    let app = TestApp::start_with(installation, &settings).await;
    // The broker within the process makes every topic.
    let Some(dead) = topic(&app, "dlq").await else { return };
    let name = app.installation.topic_name("missing");
    let answer = post(&app, &name, json!({"key": "1", "data": {"a": 1}}).to_string()).await;
    assert_eq!((answer.status, &answer.json()["confirmed"]), (200, &json!(false)));
    assert_eq!(answer.json()["offsets"][0]["offset"], json!(null));
    let id = answer.json()["message_id"].as_str().unwrap().to_owned();
    let state = || app.sql("select message_id, topic, last_error, retry_count, status, value, key from outbox");
    let ended =
        eventually(PATIENCE, "it is a dead letter", async || state().await.pop().filter(|row| row["status"] == "dlq"))
            .await;
    assert_eq!((&ended["message_id"], &ended["topic"]), (&json!(id), &json!(name)));
    assert_eq!((&ended["retry_count"], &ended["value"], &ended["key"]), (&json!(5), &json!(r#"{"a":1}"#), &json!("1")));
    assert!(ended["last_error"].as_str().unwrap().contains("does not host this topic-partition"), "{ended}");
    let record = dead.record(|_| true).await;
    assert_eq!((record.key.as_slice(), record.text().as_str()), (&b"1"[..], r#"{"a":1}"#));
    for (header, value) in [("original-topic", name.as_str()), ("message-id", &id), ("retry-count", "5")] {
        assert_eq!(record.header(header), Some(value));
    }
    assert!(record.header("error").unwrap().contains("does not host"));

    for refused in
        ["key = '2'", "status = 'pending', value = '1'", "status = 'pending', retry_count = 3", "status = 'sent'"]
    {
        let error = app.installation.try_sql(&format!("update outbox set {refused}")).await.unwrap_err().to_string();
        assert!(error.contains("outbox: of a record only"), "{refused}: {error}");
    }
    assert_eq!(app.sql_number("select count(*) from outbox where created_at <> timestamp / 1000").await, 0);

    topic(&app, "missing").await.unwrap().make().await;
    app.sql("UPDATE outbox SET status = 'pending', retry_count = 0 WHERE status = 'dlq'").await;
    let sent =
        eventually(PATIENCE, "it is published", async || state().await.pop().filter(|row| row["status"] == "sent"))
            .await;
    assert_eq!(sent["last_error"], json!(null));
    assert_eq!(topic(&app, "missing").await.unwrap().record(|_| true).await.text(), r#"{"a":1}"#);
    // What PostgreSQL cannot show hides no other record.
    app.sql(&format!(
        r#"update messaging_messages set record = '{{"key":"1","headers":[["a\u0000b",null]]}}' where id = '{id}'"#
    ))
    .await;
    assert_eq!(state().await.len(), 1);
    let _health = app.call(app.request(Method::GET, "/health")).await;
}
