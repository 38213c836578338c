//! Events on their topic.

use serde_json::{Value, json};

use super::crm_client;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::{Installation, Mode};
use crate::support::kafka_server::KafkaServer;
use crate::support::kafka_topic::KafkaTopic;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(in_kafka_mode: events_are_published_with_the_key_and_headers_that_are_known;);

async fn started(installation: Installation) -> (TestApp, String) {
    let topic = installation.topic_name("webhook-events");
    let app = TestApp::start_with(installation, &[("WEBHOOK_TOPIC", &topic)]).await;
    (app, topic)
}

async fn is_connected(app: &TestApp) {
    let connected = async || (crm_client::run(app).await.methods[7] == "kafka").then_some(());
    eventually(SOON, "events go through Kafka", connected).await;
}

async fn are_processed(app: &TestApp) {
    let open = "select count(*) from messaging_events where status <> 'processed'";
    eventually(SOON * 3, "all are published", async || (app.sql_number(open).await == 0).then_some(())).await;
}

async fn events_are_published_with_the_key_and_headers_that_are_known(installation: Installation) {
    let (app, topic) = started(installation).await;
    is_connected(&app).await;
    let meta = json!({"action": "change", "entity": "deal", "id": "018f", "company_id": "13881612", "webhook_id": "1"});
    let said = app.nobody().post("/webhook", &json!({"meta": meta, "data": {"id": 178}})).await.json();
    assert_eq!(said["deliveryMethod"], "kafka");
    let id = said["webhookId"].as_str().unwrap().to_owned();
    are_processed(&app).await;
    let history = format!(
        "select history.* from messaging_event_history as history
           join messaging_events as events on events.id = history.event_id
          where events.name = '{id}' and history.reason like 'published to {topic} at %'"
    );
    assert_eq!(app.sql(&history).await.len(), 1);
    let Mode::Kafka(brokers) = &app.installation.mode else { return };
    let wanted = id.clone();
    let record = KafkaTopic::new(brokers, topic).record(move |record| record.text().contains(&wanted)).await;
    assert_eq!(String::from_utf8_lossy(&record.key), "deal-13881612");
    for (name, value) in
        [("content-type", "application/json"), ("entity", "deal"), ("action", "change"), ("company_id", "13881612")]
    {
        assert_eq!(record.header(name), Some(value), "{name}");
    }
    let value: Value = serde_json::from_str(&record.text()).unwrap();
    assert_eq!(
        (&value["data"], &value["empresa"], &value["webhookId"]),
        (&json!({"id": 178}), &json!("Matriz"), &json!(id))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_while_kafka_was_away_is_published_when_it_returns() {
    let Some(mut kafka) = KafkaServer::start().await else { return };
    let Some(installation) = Installation::on_kafka(&kafka.address()).await else { return };
    let (app, topic) = started(installation).await;
    is_connected(&app).await;
    kafka.kill();
    let away = async || {
        let report = crm_client::run(&app).await;
        assert_eq!(report.failed, 0, "{report:?}");
        report.methods.iter().all(|method| method == "direct-db").then_some(report.ids)
    };
    let ids = eventually(SOON * 2, "Kafka is known to be away", away).await;
    kafka.restart().await;
    are_processed(&app).await;
    let records = KafkaTopic::new(&kafka.address(), topic).all().await;
    for id in ids {
        assert_eq!(records.iter().filter(|record| record.text().contains(&id)).count(), 1, "{id}");
    }
}
