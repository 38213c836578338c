//! Kafka goes away. These have one of their own, so they need `TEST_KAFKA_LIB` and `TEST_DATABASE_URL`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::caller::to_sandbox;
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::kafka_server::KafkaServer;
use crate::support::test_app::TestApp;

/// A client that lost its broker takes its time to come back.
const BACK: Duration = Duration::from_secs(60);

async fn servers() -> Option<(KafkaServer, Installation)> {
    let kafka = KafkaServer::start().await?;
    let installation = Installation::on_kafka(&kafka.address()).await?;
    Some((kafka, installation))
}

async fn sent(app: &TestApp, id: &str) -> Value {
    eventually(BACK, "it is sent", async || Some(app.message(id).await).filter(|message| message["status"] == "sent"))
        .await
}

async fn connected(app: &TestApp, expected: bool) {
    eventually(BACK, "health knows of Kafka", async || {
        (app.get("/health").await.json()["kafka"]["connected"] == expected).then_some(())
    })
    .await;
}

/// Sends while Kafka is away: the answer is the same, and as quick.
async fn accepted_at_once(app: &TestApp, recipient: &str) -> String {
    let begin = Instant::now();
    let id = app.accepted(&app.send(&to_sandbox(recipient)).await);
    // As quick as on a busy machine; Kafka is waited for at least five times as long.
    assert!(begin.elapsed() < Duration::from_secs(5), "accepting took {:?}", begin.elapsed());
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_queued_while_kafka_is_away_is_delivered_when_it_returns() {
    let Some((mut kafka, installation)) = servers().await else { return };
    let mut app = TestApp::start_with(installation, &[("KAFKA_PUBLISH_TIMEOUT", "2s")]).await;
    app.sent(&to_sandbox("before")).await;
    connected(&app, true).await;
    kafka.kill();

    let mut during = vec![];
    for number in 0..20 {
        during.push(accepted_at_once(&app, &format!("during-{number}")).await);
    }
    connected(&app, false).await;
    during.push(accepted_at_once(&app, "when it is known").await);
    assert_eq!(app.get("/health/live").await.status, 200);

    kafka.restart().await;
    for id in during {
        let message = sent(&app, &id).await;
        assert_eq!(message["retries"], 1, "{message}");
    }
    connected(&app, true).await;
    assert!(app.is_alive());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_does_not_wait_for_kafka() {
    let Some((mut kafka, installation)) = servers().await else { return };
    kafka.stop().await;
    let mut app = TestApp::start_api(installation, &[("KAFKA_PUBLISH_TIMEOUT", "2s")]).await;
    let mut worker = app.another("worker").await;
    assert_eq!(app.get("/health/ready").await.status, 200, "it can accept");
    assert_eq!(app.caller_of(&worker).get("/health/ready").await.status, 503, "it cannot deliver");
    let id = accepted_at_once(&app, "5585999999999").await;

    kafka.restart().await;
    sent(&app, &id).await;
    assert_eq!(app.caller_of(&worker).get("/health/ready").await.status, 200);
    assert!(app.is_alive() && worker.is_alive());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_waits_for_its_retry_survives_that_kafka_goes_away() {
    let Some((mut kafka, installation)) = servers().await else { return };
    let settings = [("KAFKA_PUBLISH_TIMEOUT", "2s"), ("RETRY_BACKOFF", "3s"), ("MAX_RETRIES", "2")];
    let app = TestApp::start_with(installation, &settings).await;
    let id = app.accepted(&app.send(&to_sandbox("fail-transient")).await);
    eventually(BACK, "it waits for its retry", async || {
        (app.message(&id).await["nextAttemptAt"] != json!(null)).then_some(())
    })
    .await;
    kafka.kill();
    kafka.restart().await;
    let message = eventually(BACK, "it was tried again", async || {
        Some(app.message(&id).await).filter(|message| message["status"] == "failed")
    })
    .await;
    assert_eq!(message["retries"], 2, "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_a_topic_that_was_deleted_is_delivered() {
    let Some((_kafka, installation)) = servers().await else { return };
    let app = TestApp::start_api(installation, &[("KAFKA_PUBLISH_TIMEOUT", "1s")]).await;
    let topic = app.installation.topic("messaging.send");
    let mut waiting = vec![];
    for number in 0..10 {
        waiting.push(accepted_at_once(&app, &number.to_string()).await);
    }
    for id in waiting.clone() {
        topic.record(move |record| record.text().contains(&id)).await;
    }
    topic.delete().await;

    let _worker = app.another("worker").await;
    for id in waiting {
        let message = sent(&app, &id).await;
        assert_eq!(message["retries"], 1, "{message}");
    }
    let after = accepted_at_once(&app, "after").await;
    sent(&app, &after).await;
}
