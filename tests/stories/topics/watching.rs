//! What the operators' scripts read.

use reqwest::Method;
use serde_json::{Value, json};

use super::publishing::post;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    what_is_counted_is_a_plain_number_from_the_start;
    in_kafka_mode:
    what_was_published_is_counted_for_scripts_and_for_prometheus;
);

/// As `jq` prints them, and `[ "$RECEIVED" -gt 0 ]` takes them.
fn numbers(metrics: &Value) -> Vec<u64> {
    let counts =
        ["totalReceived", "totalSent", "totalFailed", "totalRetries", "totalDLQ"].map(|it| &metrics["metrics"][it]);
    let kept = ["total", "pending", "sent", "failed", "dlq"].map(|it| &metrics["outbox"][it]);
    let memory =
        ["rss", "heapTotal", "heapUsed", "external", "arrayBuffers"].map(|it| &metrics["middleware"]["memory"][it]);
    let all = counts.into_iter().chain(kept).chain(memory);
    all.map(|number| number.as_u64().unwrap_or_else(|| panic!("{number} of {metrics}"))).collect()
}

async fn what_is_counted_is_a_plain_number_from_the_start(installation: Installation) {
    let app = TestApp::start(installation).await;
    let answer = app.nobody().get("/metrics").await;
    assert_eq!((answer.status, &answer.headers["content-type"].to_str().unwrap()[..16]), (200, "application/json"));
    assert_eq!(numbers(&answer.json())[..10], [0; 10]);
    let health = app.nobody().get("/health").await.json();
    assert_eq!((&health["outbox"]["pending"], &health["kafka"]["connected"]), (&json!(0), &json!(false)));
}

async fn what_was_published_is_counted_for_scripts_and_for_prometheus(installation: Installation) {
    let app = TestApp::start_with(installation, &[("TOPICS_AUTO_CREATE", "true")]).await;
    let name = app.installation.topic_name("counted");
    for number in 0..3 {
        let answer = post(&app, &name, json!({ "data": number }).to_string()).await;
        assert_eq!((answer.status, &answer.json()["confirmed"]), (200, &json!(true)));
    }
    let metrics = app.get("/metrics").await.json();
    assert_eq!(numbers(&metrics)[..10], [3, 3, 0, 0, 0, 3, 0, 3, 0, 0]);
    // The brokers that messages travel through are heard of once a second.
    eventually(SOON, "it is connected", async || {
        (app.get("/metrics").await.json()["middleware"]["connected"] == json!(true)).then_some(())
    })
    .await;
    for (accept, kind) in [
        ("text/plain;version=0.0.4;q=0.3,*/*;q=0.1", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0"),
    ] {
        let answer = app.call(app.request(Method::GET, "/metrics").header("accept", accept)).await;
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with(kind));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("\ncorreio_messages_sent_total 3\n"), "{text}");
        assert!(text.contains("\ncorreio_outbox_messages{status=\"sent\"} 3\n"), "{text}");
    }
}
