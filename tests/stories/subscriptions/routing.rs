//! Each event becomes one message a subscription.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_is_no_subscription_is_refused,
    a_subscription_is_tried_without_sending;
    on_both_databases:
    an_event_becomes_one_message_a_subscription,
    a_disabled_subscription_gets_its_events_when_they_are_replayed,
    an_event_whose_message_fails_is_dead_until_a_person_retries_it;
    on_every_queue:
    many_events_become_as_many_messages;
);

async fn start(installation: Installation) -> TestApp {
    TestApp::start_with(installation, &[("RATE_LIMITS", "false"), ("RETRY_BACKOFF", "50ms")]).await
}

async fn hook(app: &TestApp, receiver: &HttpReceiver) {
    let body = json!({ "channel": "webhook", "channelInstanceId": "hook", "channelPhoneOrId": receiver.url("/") });
    app.create_instance(&body).await;
}

async fn subscribe(app: &TestApp, changes: Value) -> String {
    let mut body = json!({ "name": "sales", "types": ["VENDA"], "channel": "webhook", "channelInstanceId": "hook" });
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let answer = app.post("/subscriptions", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    answer.data()["id"].as_str().unwrap().to_owned()
}

fn sale(id: &str, value: f64) -> Value {
    json!({ "id": id, "tipo": "VENDA", "dados": { "produto_id": "P-1", "quantidade": 2, "valor": value, "nome": "Ana & Bia" } })
}

async fn report(app: &TestApp, event: &Value) {
    let answer = app.post("/events", event).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
}

async fn becomes(app: &TestApp, id: &str, status: &str) -> Value {
    eventually(SOON, status, async || {
        let event = app.get(&format!("/events/{id}")).await.json();
        (event["status"] == status).then_some(event)
    })
    .await
}

async fn an_event_becomes_one_message_a_subscription(installation: Installation) {
    let app = start(installation).await;
    let receiver = HttpReceiver::start().await;
    hook(&app, &receiver).await;
    subscribe(&app, json!({})).await;
    let large = json!({ "name": "large", "types": ["VEN*"], "filter": "data.valor > 100.0",
        "template": "Olá, {{ data.nome }}: R$ {{ data.valor }}", "remoteJid": "loja-{{ data.produto_id }}" });
    subscribe(&app, large).await;
    subscribe(&app, json!({ "name": "returns", "types": ["DEVOLUCAO"] })).await;

    report(&app, &sale("small", 10.0)).await;
    report(&app, &sale("large", 150.5)).await;
    report(&app, &sale("large", 150.5)).await;
    let small = becomes(&app, "small", "processed").await;
    let large = becomes(&app, "large", "processed").await;
    assert_eq!(small["messages"].as_array().unwrap().len(), 1, "{small}");
    assert_eq!(large["messages"].as_array().unwrap().len(), 2, "{large}");
    assert_eq!(app.sql_number("select count(*) from messaging_messages where direction = 'sent'").await, 3);
    assert_eq!(receiver.how_many(), 3);

    let message = app.message(small["messages"][0]["messageId"].as_str().unwrap()).await;
    assert_eq!(
        (&message["status"], &message["remoteJid"], &message["maxRetries"]),
        (&json!("sent"), &json!("small"), &json!(4))
    );
    let payload = &message["payload"];
    assert_eq!(
        (&payload["id"], &payload["type"], &payload["data"]["valor"]),
        (&json!("small"), &json!("VENDA"), &json!(10.0))
    );
    let texts = app.sql("select message, remote_jid from messaging_messages where message is not null").await;
    assert_eq!(texts, [json!({ "message": "Olá, Ana & Bia: R$ 150.5", "remote_jid": "loja-P-1" })]);
    assert!(
        app.log().iter().any(|line| line.contains("Event processed successfully") && line.contains("processingTime"))
    );
}

async fn a_disabled_subscription_gets_its_events_when_they_are_replayed(installation: Installation) {
    let app = start(installation).await;
    let receiver = HttpReceiver::start().await;
    hook(&app, &receiver).await;
    report(&app, &sale("before", 1.0)).await;
    becomes(&app, "before", "processed").await;
    let id = subscribe(&app, json!({ "enabled": false })).await;
    report(&app, &sale("meanwhile", 2.0)).await;
    let skipped = becomes(&app, "meanwhile", "processed").await;
    assert_eq!(skipped["messages"], json!([]), "{skipped}");
    let path = format!("/subscriptions/{id}");
    let refused = app.post(&format!("{path}/replay"), &json!({})).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"));

    let enabled = app.call(app.request(Method::PATCH, &path).json(&json!({ "enabled": true }))).await;
    assert_eq!((enabled.status, &enabled.data()["enabled"]), (200, &json!(true)));
    let none = app.post(&format!("{path}/replay"), &json!({ "types": ["DEV*"] })).await.data();
    assert_eq!(none["replayed"], 0);
    for expected in [json!([2, 0]), json!([0, 2])] {
        let replayed = app.post(&format!("{path}/replay"), &json!({ "types": ["VENDA"] })).await;
        assert_eq!(replayed.status, 202);
        let data = replayed.data();
        assert_eq!((json!([data["replayed"], data["passedOver"]]), &data["nextCursor"]), (expected, &json!(null)));
    }
    eventually(SOON, "both are delivered", async || (receiver.how_many() == 2).then_some(())).await;
    assert_eq!(app.call(app.request(Method::DELETE, &path)).await.status, 204);
    assert_eq!(app.get(&path).await.status, 404);
}

async fn an_event_whose_message_fails_is_dead_until_a_person_retries_it(installation: Installation) {
    let app = start(installation).await;
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(503, ""));
    hook(&app, &receiver).await;
    subscribe(&app, json!({})).await;
    report(&app, &sale("unlucky", 1.0)).await;
    let dead = becomes(&app, "unlucky", "dead_letter").await;
    assert_eq!(dead["messages"][0]["status"], "failed");
    assert_eq!(receiver.how_many(), 4, "one try, and three more");
    assert!(dead["error"].as_str().unwrap().contains("503"), "{dead}");
    assert_eq!(app.get("/events/dead-letter").await.json()["data"][0]["id"], "unlucky");

    receiver.always(Answer::new(200, ""));
    let retried = app.post("/events/unlucky/retry", &json!({})).await;
    assert_eq!((retried.status, &retried.json()["id"]), (200, &json!("unlucky")));
    let processed = becomes(&app, "unlucky", "processed").await;
    assert_eq!(processed["messages"].as_array().unwrap().len(), 1, "the same message");
    assert_eq!(receiver.how_many(), 5);
}

async fn many_events_become_as_many_messages(installation: Installation) {
    let app = start(installation).await;
    let receiver = HttpReceiver::start().await;
    hook(&app, &receiver).await;
    subscribe(&app, json!({})).await;
    subscribe(&app, json!({ "name": "all", "types": ["*"], "template": "{{ event.id }}" })).await;
    let reports = (0..30).map(|number| {
        let caller = app.caller();
        async move { caller.post("/events", &sale(&format!("e-{number}"), 1.0)).await.status }
    });
    assert_eq!(futures::future::join_all(reports).await, vec![202; 30]);
    eventually(SOON, "all are processed", async || {
        let stats = app.get("/events/stats").await.json();
        (stats["byStatus"]["processed"] == 30).then_some(())
    })
    .await;
    assert_eq!(app.sql_number("select count(*) from messaging_messages where status = 'sent'").await, 60);
    assert_eq!(receiver.how_many(), 60);
}

async fn what_is_no_subscription_is_refused(installation: Installation) {
    let app = start(installation).await;
    let receiver = HttpReceiver::start().await;
    hook(&app, &receiver).await;
    let body = json!({ "name": "a", "types": ["VENDA"], "channel": "webhook", "channelInstanceId": "hook" });
    for (change, path) in [
        (json!({ "types": [] }), "/types"),
        (json!({ "types": ["a b"] }), "/types/0"),
        (json!({ "filter": "data.valor >" }), "/filter"),
        (json!({ "template": "{{ data" }), "/template"),
        (json!({ "template": "{% set x = 1 %}" }), "/template"),
        (json!({ "remoteJid": "{{" }), "/remoteJid"),
        (json!({ "channel": "pombo" }), "/channel"),
        (json!({ "channelInstanceId": "other" }), "/channelInstanceId"),
        (json!({ "colour": "red" }), "/colour"),
    ] {
        let mut wrong = body.clone();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = app.post("/subscriptions", &wrong).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["path"]), (422, &json!(path)), "{}", answer.json());
    }
    assert_eq!(app.post("/subscriptions", &body).await.status, 201);
    let again = app.post("/subscriptions", &body).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "conflict"));
    assert_eq!(app.get("/subscriptions").await.data().as_array().unwrap().len(), 1);
    let other = app.holder_of_a_key("globex", &["instances:write", "instances:read"]).await;
    assert_eq!(other.get("/subscriptions").await.data(), json!([]));
    assert_eq!(app.holder_of_a_key("default", &["events:write"]).await.get("/subscriptions").await.status, 403);
}

async fn a_subscription_is_tried_without_sending(installation: Installation) {
    let app = start(installation).await;
    let receiver = HttpReceiver::start().await;
    hook(&app, &receiver).await;
    let change = json!({ "filter": "data.valor > 5.0", "template": "{\"v\": {{ data.valor }}}" });
    let path = format!("/subscriptions/{}/test", subscribe(&app, change).await);
    let tried = async |event: &Value| app.post(&path, event).await.data();
    let matching = tried(&sale("x", 7.5)).await;
    assert_eq!(
        (&matching["matches"], &matching["message"]["payload"]),
        (&json!(true), &json!({ "v": 7.5 })),
        "{matching}"
    );
    let filtered = tried(&sale("x", 1.0)).await;
    assert_eq!((&filtered["matches"], &filtered["filterMatches"]), (&json!(false), &json!(false)));
    let of_other_type = tried(&json!({ "type": "OUTRO", "data": {} })).await;
    assert_eq!((&of_other_type["typeMatches"], &of_other_type["filterMatches"]), (&json!(false), &json!(null)));
    let broken = tried(&json!({ "type": "VENDA", "data": { "valor": "dez" } })).await;
    assert!(broken["error"].as_str().unwrap().contains("the filter of `sales`"), "{broken}");
    assert_eq!((receiver.how_many(), app.sql_number("select count(*) from messaging_events").await), (0, 0));
}
