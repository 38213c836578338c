//! What is asked without a Kafka, without credentials, or without a scope.

use serde_json::json;

use super::bridge::Bridge;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(on_one_installation:
    without_brokers_everything_about_topics_is_503,
    strangers_are_refused_in_the_proxys_words,
    open_topics_are_open_to_publishers_alone;
);

const READS: [&str; 5] =
    ["/topics", "/brokers", "/v3/clusters", "/v3/clusters/a/topics/b/partitions/0/offset", "/admin/groups"];

async fn without_brokers_everything_about_topics_is_503(installation: Installation) {
    let app = TestApp::start(installation).await;
    for path in READS {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (503, Some(50302)), "{path}");
        assert!(answer.json()["message"].as_str().unwrap().contains("KAFKA_BROKERS"), "{path}");
    }
    let created = app.post("/admin/topics", &json!({"topic": "a"})).await;
    assert_eq!((created.status, created.json()["error_code"].as_u64()), (503, Some(50302)));
    assert_eq!(app.post("/consumers/a", &json!({})).await.status, 503);
}

async fn strangers_are_refused_in_the_proxys_words(installation: Installation) {
    let app = TestApp::start(installation).await;
    for path in READS {
        let answer = app.nobody().get(path).await;
        assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (401, Some(40101)), "{path}");
        assert!(answer.headers.contains_key("www-authenticate"), "{path}");
    }
    let token = app.correio(&["token", "--sub", "a", "--scope", "messages:read"]).await;
    let reader = app.with_token(&token);
    let answer = reader.get("/topics").await;
    assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (403, Some(40301)));
    assert_eq!(answer.json()["message"], "This needs the scope topics:read.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_topics_does_not_administer_them() {
    let Some(bridge) = Bridge::start().await else { return };
    let token = bridge.correio(&["token", "--sub", "a", "--scope", "topics:read"]).await;
    let reader = bridge.with_token(&token);
    assert_eq!(reader.get("/topics").await.status, 200);
    let topic = json!({"topic": format!("{}-x", bridge.name), "partitions": 1, "replicationFactor": 1});
    for refused in [reader.post("/admin/topics", &topic).await, reader.get("/admin/groups").await] {
        assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (403, Some(40301)));
    }
    let groups = reader.get(&format!("{}/consumer-groups", bridge.cluster().await)).await;
    assert_eq!(groups.status, 403);
}

async fn open_topics_are_open_to_publishers_alone(installation: Installation) {
    let app = TestApp::start_with(installation, &[("TOPICS_OPEN", "true")]).await;
    let anyone = app.nobody();
    assert_eq!(anyone.post("/topics/orders", &json!({"data": 1})).await.status, 503, "let in: there are no brokers");
    assert_eq!(anyone.get("/topics").await.status, 503);
    for path in ["/brokers", "/topics/orders", "/v3/clusters", "/admin/groups", "/consumers/a/instances/b/records"] {
        assert_eq!(anyone.get(path).await.status, 401, "{path}");
    }
    for path in ["/consumers/a", "/topics/orders/partitions/0", "/v3/clusters/a/topics/b/records", "/admin/topics"] {
        assert_eq!(anyone.post(path, &json!({})).await.status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_are_needed_are_not_deleted() {
    let Some(installation) = Installation::real_kafka().await else { return };
    let app = TestApp::start(installation).await;
    let clusters = app.get("/v3/clusters").await.json();
    let topics = format!("/v3/clusters/{}/topics", clusters["data"][0]["cluster_id"].as_str().unwrap());
    let [send, dead_letters] = ["messaging.send", "messaging.send.dlq"].map(|name| app.installation.topic_name(name));
    let (ours, kafkas) = ("Correio's own", "Kafka's own");
    for (topic, whose) in
        [(send.as_str(), ours), (&dead_letters, ours), ("dlq-topic", ours), ("__consumer_offsets", kafkas)]
    {
        let refused = app.delete(&format!("{topics}/{topic}")).await;
        assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (403, Some(40301)), "{topic}");
        let said = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(topic) && said.contains(whose), "{said}");
    }
    assert_eq!(app.get(&format!("{topics}/{send}")).await.status, 200, "it is there");
    let unknown = app.delete(&format!("{topics}/there-is-none")).await;
    assert_eq!((unknown.status, unknown.json()["error_code"].as_u64()), (404, Some(40403)));
}
