//! An ERP posts its invoices.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::caller::Caller;
use crate::support::installation::{Installation, Mode};
use crate::support::kafka_topic::{KafkaTopic, TopicRecord};
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    without_brokers_there_are_no_topics;
    in_kafka_mode:
    what_the_bridge_confirms_is_kept_with_its_place,
    a_body_that_is_mended_says_so,
    what_cannot_be_a_record_is_refused_with_a_reason,
    no_way_to_a_topic_goes_around_its_scope;
);

const KEY: &str = "application/json";

/// A topic of the installation's Kafka, seen from outside.
pub async fn topic(app: &TestApp, name: &str) -> Option<KafkaTopic> {
    let Mode::Kafka(brokers) = &app.installation.mode else { return None };
    Some(KafkaTopic::new(brokers, app.installation.topic_name(name)))
}

pub async fn post(caller: &Caller, topic: &str, body: impl Into<reqwest::Body>) -> Answered {
    let request = caller.request(Method::POST, &format!("/topics/{topic}"));
    caller.call(request.header("content-type", KEY).header("accept", KEY).body(body)).await
}

fn invoice() -> Value {
    json!({"key": "000001001", "data": {"cabecalho": {"documento": "000001", "valorTotal": 1500.5}, "itens": []}})
}

async fn without_brokers_there_are_no_topics(installation: Installation) {
    let app = TestApp::start(installation).await;
    let answer = post(&app, "protheus-notas-fiscais", invoice().to_string()).await;
    assert_eq!(answer.status, 503, "{}", answer.json());
    assert_eq!(post(&app.nobody(), "protheus-notas-fiscais", invoice().to_string()).await.status, 401);
}

async fn what_the_bridge_confirms_is_kept_with_its_place(installation: Installation) {
    let app = TestApp::start_with(installation, &[("TOPICS_AUTO_CREATE", "true"), ("TOPICS_OPEN", "true")]).await;
    let name = app.installation.topic_name("invoices");
    let answer = post(&app.nobody(), &name, invoice().to_string()).await;
    let told = answer.json();
    assert_eq!(answer.status, 200, "{told}");
    assert_eq!((&told["success"], &told["confirmed"], &told["acks"]), (&json!(true), &json!(true), &json!("all")));
    let [offset] = told["offsets"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!(offset["offset"], "0");
    assert_eq!((&offset["error_code"], &offset["error"]), (&Value::Null, &Value::Null));
    let id = told["message_id"].as_str().unwrap().to_owned();
    let row = app.sql_message(&id).await;
    assert_eq!((&row["status"], &row["channel"]), (&json!("sent"), &json!("kafka_topic")));
    let Some(topic) = topic(&app, "invoices").await else { return };
    let record: TopicRecord = topic.record(|_| true).await;
    assert_eq!(record.key, b"000001001");
    assert_eq!(record.text(), r#"{"cabecalho":{"documento":"000001","valorTotal":1500.5},"itens":[]}"#);
    let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("message-id", id.as_str()), ("source", "protheus-middleware")]);
}

async fn a_body_that_is_mended_says_so(installation: Installation) {
    let app = TestApp::start_with(installation, &[("TOPICS_AUTO_CREATE", "true")]).await;
    let name = app.installation.topic_name("mended");
    let mut body = br#"{"key": "1", "data": {"nomeCliente": "Jos"#.to_vec();
    body.extend([0xe9, b' ', 0x80, b'\t', b'\r']);
    body.extend(br#""}}"#);
    let answer = post(&app, &name, body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.headers["x-correio-repaired"], "windows-1252, control-characters");
    let id = answer.json()["message_id"].as_str().unwrap().to_owned();
    let payload = app.sql_message(&id).await["payload"].clone();
    let payload = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
    assert_eq!(serde_json::from_str::<Value>(&payload).unwrap(), json!({"nomeCliente": "José €\t\r"}));
    let whole = post(&app, &name, invoice().to_string()).await;
    assert!(!whole.headers.contains_key("x-correio-repaired"));
}

async fn what_cannot_be_a_record_is_refused_with_a_reason(installation: Installation) {
    let app = TestApp::start_with(installation, &[("TOPICS_MAX_BODY_BYTES", "1000")]).await;
    let name = app.installation.topic_name("refused");
    let sends = app.installation.topic_name("messaging.send");
    for (topic, body, status) in [
        ("a%20b", invoice().to_string(), 422),
        ("__consumer_offsets", invoice().to_string(), 422),
        (name.as_str(), r#"{"key": "1"}"#.to_owned(), 422),
        (name.as_str(), r#"{"key": "1", "data": "#.to_owned(), 400),
        (name.as_str(), "[1]".to_owned(), 400),
        (name.as_str(), json!({"data": "x".repeat(2_000)}).to_string(), 413),
        (sends.as_str(), invoice().to_string(), 422),
    ] {
        let answer = post(&app, topic, body).await;
        assert_eq!(answer.status, status, "{topic}: {}", answer.json());
    }
    let count = "select count(*) from messaging_messages where channel = 'kafka_topic'";
    assert_eq!(app.sql_number(count).await, 0, "nothing is kept");
    let reader = app.holder_of_a_key("default", &["topics:read", "messages:write"]).await;
    let answer = post(&reader, &name, invoice().to_string()).await;
    assert_eq!(answer.status, 403);
    assert!(answer.json()["detail"].as_str().unwrap().contains("topics:write"));
}

async fn no_way_to_a_topic_goes_around_its_scope(installation: Installation) {
    let app = TestApp::start_with(installation, &[("TOPICS_AUTO_CREATE", "true")]).await;
    let name = app.installation.topic_name("around");
    assert_eq!(post(&app, &name, invoice().to_string()).await.status, 200, "its instance is there");
    let sender = app.holder_of_a_key("default", &["messages:write", "instances:write"]).await;
    let instance = json!({"channel": "kafka_topic", "channelInstanceId": "kafka"});
    let with = |more: Value| {
        let mut body = instance.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let message = with(json!({"remoteJid": name, "payload": {"a": 1}}));
    let broadcast = with(json!({"recipients": [name], "message": "x"}));
    let another = json!({"channel": "kafka_topic", "channelInstanceId": "another", "channelPhoneOrId": "another"});
    let subscription = with(json!({"name": "sales", "types": ["VENDA"]}));
    for (path, body) in [
        ("/api/messaging/message/send", message),
        ("/api/messaging/broadcasts", broadcast),
        ("/api/messaging/instances", another),
        ("/subscriptions", subscription),
    ] {
        let answer = sender.post(path, &body).await;
        let problem = answer.json();
        assert_eq!(answer.status, 403, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("topics:write"), "{path}: {problem}");
    }
}
