use serde_json::{Value, json};

use crate::support::caller::{TRANSIENT, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::{BOOTSTRAP_KEY, TestApp};

stories!(
    on_one_installation:
    the_documentation_comes_from_the_program_alone;
    in_both_modes:
    a_request_is_one_line_of_the_log_and_says_nothing_private;
    on_every_queue:
    health_says_how_it_is,
    new_credentials_are_used_from_the_next_message_on;
);

async fn health_says_how_it_is(installation: Installation) {
    let is_in_weeks = installation.postgres.is_some();
    let app = TestApp::start(installation).await;
    app.sent(&to_sandbox("5585999999999")).await;
    app.fails(&to_sandbox("fail-transient"), TRANSIENT).await;
    // In Kafka mode the dead letter follows when the message has failed; in direct mode the row is the dead letter.
    let health = eventually(SOON, "the dead letter is counted", async || {
        let health = app.nobody().get("/health").await;
        assert_eq!(health.status, 200);
        Some(health.json()).filter(|health| health["metrics"]["totalDLQ"] == 1 && health["outbox"]["pending"] == 0)
    })
    .await;
    assert_eq!(
        (&health["status"], &health["kafka"]["connected"]),
        (&json!("healthy"), &json!(!app.waits())),
        "{health}"
    );
    assert_eq!(health["kafka"]["brokers"].as_array().unwrap().is_empty(), app.waits(), "{health}");
    assert_eq!(health["outbox"], json!({ "enabled": true, "pending": 0 }));
    let weeks = json!({ "weeksAhead": 4, "defaultPartition": 0, "troubles": [] });
    assert_eq!(health["storage"], if is_in_weeks { weeks } else { json!({ "troubles": [] }) });
    assert_eq!(health["work"], json!({ "troubles": [] }));
    let metrics = &health["metrics"];
    assert_eq!(
        (&metrics["totalReceived"], &metrics["totalSent"], &metrics["totalFailed"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(metrics["totalRetries"], app.tries(TRANSIENT) - 1, "{health}");
    assert!(health["uptime"].is_u64() && health["timestamp"].is_string(), "{health}");
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(app.nobody().get(path).await.status, 200, "{path}");
    }
}

async fn the_documentation_comes_from_the_program_alone(installation: Installation) {
    let app = TestApp::start(installation).await;
    let nobody = app.nobody();
    let document = nobody.get("/api/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    assert!(document["paths"]["/api/messaging/message/send"]["post"].is_object());
    for path in ["/api", "/api/"] {
        let page = nobody.get(path).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        let text = String::from_utf8(page.body).unwrap();
        let files: Vec<&str> =
            text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
        assert!(files.len() >= 3, "{text}");
        for file in files {
            assert!(!file.contains("//"), "{file} is somebody else's");
            let name = file.trim_start_matches("./").trim_start_matches("/api/");
            assert_eq!(nobody.get(&format!("/api/{name}")).await.status, 200, "{file}");
        }
    }
}

async fn a_request_is_one_line_of_the_log_and_says_nothing_private(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut body = to_sandbox("5585999999999");
    body["message"] = "uma mensagem particular".into();
    let sent = app.send(&body).await;
    let id = sent.header("x-request-id").unwrap().to_owned();
    app.get("/api/messaging/messages?remoteJid=5585999999999").await;
    let line = eventually(SOON, "the requests are logged", async || {
        let lines: Vec<Value> = app.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let requests: Vec<Value> = lines.into_iter().filter(|line| line["message"] == "request").collect();
        (requests.len() >= 2).then(|| {
            let of_this: Vec<&Value> = requests.iter().filter(|line| line["span"]["request_id"] == *id).collect();
            assert_eq!(of_this.len(), 1, "one line a request");
            of_this[0].clone()
        })
    })
    .await;
    assert_eq!((&line["method"], &line["status"]), (&json!("POST"), &json!(sent.status)), "{line}");
    assert_eq!(line["route"], "/api/messaging/message/send");
    assert!(line["duration_ms"].is_u64(), "{line}");
    let log = app.log();
    let told = log.iter().filter(|line| line.starts_with('{')).cloned().collect::<String>();
    for private in ["particular", "5585999999999", BOOTSTRAP_KEY] {
        assert!(!told.contains(private), "{private} in the log");
    }
}

async fn new_credentials_are_used_from_the_next_message_on(installation: Installation) {
    let app = TestApp::start(installation).await;
    let (before, after) = (HttpReceiver::start().await, HttpReceiver::start().await);
    let instance = app
        .create_instance(&json!({
            "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
            "credentials": { "baseUrl": before.url(""), "apiKey": "the-key-before" },
        }))
        .await;
    let body = json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "loja", "remoteJid": "5585999999999", "message": "Olá!",
    });
    for evolution in [&before, &after] {
        // That it was to connect the instance is another story, also below.
        evolution.forget();
        evolution.always(Answer::json(201, &json!({ "key": { "id": "3EB0A1" } })));
    }
    app.sent(&body).await;
    let change = json!({ "credentials": { "baseUrl": after.url(""), "apiKey": "the-key-after" } });
    assert_eq!(app.patch(&format!("/api/messaging/instances/{instance}"), &change).await.status, 200);
    after.forget();
    app.sent(&body).await;
    assert_eq!(before.only().header("apikey"), Some("the-key-before"));
    assert_eq!(after.only().header("apikey"), Some("the-key-after"));
}
