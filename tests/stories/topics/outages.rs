//! Kafka dies while clients publish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::publishing::post;
use crate::support::caller::Caller;
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::kafka_server::KafkaServer;
use crate::support::kafka_topic::KafkaTopic;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    what_was_accepted_while_kafka_was_dead_is_in_the_topic_once;
);

const PATIENCE: Duration = Duration::from_secs(120);
const CLIENTS: usize = 4;

async fn what_was_accepted_while_kafka_was_dead_is_in_the_topic_once(installation: Installation) {
    let Some(mut kafka) = KafkaServer::start().await else { return };
    let topic = KafkaTopic::new(&kafka.address(), "orders.created".to_owned());
    topic.make().await;
    let settings = [("KAFKA_BROKERS", kafka.address()), ("TOPICS_CONFIRM_TIMEOUT", "300ms".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = TestApp::start_with(installation, &settings).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| tokio::spawn(publish(app.caller(), client, stop.clone()))).collect();
    published(&app, 200).await;
    kafka.kill();
    let before = accepted(&app).await;
    published(&app, before + 20).await;
    let away = app.get("/health").await;
    assert_eq!(away.status, 200, "{}", away.json());
    kafka.restart().await;
    published(&app, accepted(&app).await + 100).await;
    stop.store(true, Ordering::Relaxed);
    let mut kept = BTreeMap::new();
    for client in clients {
        for (id, number) in client.await.unwrap() {
            kept.insert(id, number);
        }
    }
    eventually(PATIENCE, "nothing waits", async || {
        (app.sql_number("select count(*) from outbox where status <> 'sent'").await == 0).then_some(())
    })
    .await;
    let records = topic.all().await;
    let ids: Vec<String> = records.iter().map(|record| record.header("message-id").unwrap().to_owned()).collect();
    let known: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(known.len(), ids.len(), "each is there once");
    let missing: Vec<_> = kept.keys().filter(|id| !known.contains(id)).collect();
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), kept.len());
    for record in &records {
        let number = &kept[record.header("message-id").unwrap()];
        assert_eq!(&serde_json::from_slice::<Value>(&record.value).unwrap(), number);
    }
}

/// Posts one after the other; returns what was accepted.
async fn publish(caller: Caller, client: usize, stop: Arc<AtomicBool>) -> Vec<(String, Value)> {
    let mut accepted = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let data = json!({ "orderId": client, "number": number });
        let body = json!({ "key": client.to_string(), "data": data }).to_string();
        let answer = post(&caller, "orders.created", body).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        accepted.push((answer.json()["message_id"].as_str().unwrap().to_owned(), data));
        number += 1;
    }
    accepted
}

async fn accepted(app: &TestApp) -> i64 {
    app.sql_number("select count(*) from messaging_messages where channel = 'kafka_topic'").await
}

async fn published(app: &TestApp, count: i64) {
    eventually(PATIENCE, "so many are accepted", async || (accepted(app).await >= count).then_some(())).await;
}
