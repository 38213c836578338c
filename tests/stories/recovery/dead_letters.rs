//! What is found in Kafka itself.

use serde_json::{Value, json};

use crate::support::caller::{REFUSED, TRANSIENT, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::HttpReceiver;
use crate::support::installation::Installation;
use crate::support::modes::on_installation;
use crate::support::test_app::TestApp;

on_installation!(real_kafka:
    a_failed_message_is_found_on_the_dead_letter_topic
    poison_goes_to_the_dead_letter_topic_and_blocks_nothing
    a_record_has_no_credentials
    topics_are_created_as_they_are_configured
);

async fn marked(app: &TestApp, id: &str) {
    eventually(SOON, "its dead letter is out", async || {
        (app.sql_message(id).await["dead_lettered_at"] != Value::Null).then_some(())
    })
    .await;
}

async fn a_failed_message_is_found_on_the_dead_letter_topic(installation: Installation) {
    let app = TestApp::start(installation).await;
    let topic = app.installation.topic("messaging.send");
    for (recipient, failure) in [("fail-transient", TRANSIENT), ("fail-permanent", REFUSED)] {
        let failed = app.fails(&to_sandbox(recipient), failure).await;
        let id = failed["id"].as_str().unwrap().to_owned();
        marked(&app, &id).await;
        let about = id.clone();
        let dead_letters = app.installation.topic("messaging.send.dlq");
        let letter = dead_letters.record(move |letter| letter.header("message-id") == Some(&about)).await;
        assert_eq!(letter.header("original-topic"), Some(topic.name()));
        assert_eq!(letter.header("error"), failed["error"].as_str());
        assert_eq!(letter.header("retry-count"), Some(failure.tries.to_string().as_str()));
        let original = topic.record(move |record| record.text().contains(&id)).await;
        assert_eq!((letter.key, letter.value), (original.key, original.value), "byte for byte");
    }
}

async fn poison_goes_to_the_dead_letter_topic_and_blocks_nothing(installation: Installation) {
    // One partition, so that whatever follows would have to wait.
    let app = TestApp::start_with(installation, &[("KAFKA_PARTITIONS", "1")]).await;
    let topic = app.installation.topic("messaging.send");
    let sent = app.sent(&to_sandbox("5585999999999")).await;
    let ours = topic.record(|_| true).await.text();
    let unknown = ours.replace(sent["id"].as_str().unwrap(), "019bd8a2-0000-7000-8000-000000000000");
    assert_ne!(unknown, ours);
    let poison = ["not JSON", "{}", "{\"version\": 4711}", "", "\u{0}", &unknown];
    for value in poison {
        topic.put("anything", value.as_bytes()).await;
    }
    app.sent(&to_sandbox("5585999999999")).await;

    for value in poison.map(str::to_owned) {
        let wanted = value.clone();
        let dead_letters = app.installation.topic("messaging.send.dlq");
        let letter = dead_letters.record(move |letter| letter.text() == wanted).await;
        assert_eq!((letter.key.as_slice(), letter.header("retry-count")), (&b"anything"[..], Some("0")));
        assert_eq!(letter.header("original-topic"), Some(topic.name()));
        assert!(letter.header("error").is_some_and(|reason| !reason.is_empty()), "{letter:?}");
        if value != unknown {
            assert_eq!(letter.header("message-id"), None);
        }
    }
}

async fn a_record_has_no_credentials(installation: Installation) {
    const API_KEY: &str = "an-api-key-of-evolution";

    let app = TestApp::start(installation).await;
    let evolution = HttpReceiver::start().await;
    app.create_instance(&json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
        "credentials": { "baseUrl": evolution.url(""), "apiKey": API_KEY },
    }))
    .await;
    let id = app.accepted(
        &app.send(&json!({
            "channel": "whatsapp_evolution", "channelInstanceId": "loja", "remoteJid": "5585999999999",
            "message": "Olá!",
        }))
        .await,
    );
    app.ended(&id).await;
    let record = app.installation.topic("messaging.send").record(move |record| record.text().contains(&id)).await;
    let value = record.text();
    assert!(!value.contains(API_KEY) && !value.contains(&evolution.url("")), "{value}");
}

async fn topics_are_created_as_they_are_configured(installation: Installation) {
    let settings = [("KAFKA_PARTITIONS", "5"), ("KAFKA_REPLICATION_FACTOR", "1")];
    let app = TestApp::start_with(installation, &settings).await;
    app.sent(&to_sandbox("5585999999999")).await;
    assert_eq!(app.installation.topic("messaging.send").partitions().await, 5);
    assert!(app.installation.topic("messaging.send.dlq").partitions().await > 0);
}
