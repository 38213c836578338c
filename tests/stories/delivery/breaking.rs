//! Destinations that fail, and are not called until a probe works.

use serde_json::{Value, json};

use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver, closed_port};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    in_direct_mode:
    a_caller_of_what_fails_is_told_when_to_come_back,
    what_fails_for_days_is_disabled_until_a_person_lets_it_in,
    a_host_without_an_answer_is_not_called_for_any_of_its_instances;
    in_kafka_mode:
    what_waits_for_what_fails_spends_no_try_and_goes_out_once_it_works;
);

fn hook(name: &str, url: &str) -> Value {
    json!({ "channel": "webhook", "channelInstanceId": name, "channelPhoneOrId": url })
}

fn message(hook: &str, recipient: usize) -> Value {
    json!({
        "channel": "webhook", "channelInstanceId": hook, "remoteJid": format!("cliente-{recipient}"), "message": "oi",
    })
}

async fn shown(app: &TestApp, instance: &str) -> Value {
    app.get(&format!("/api/messaging/instances/{instance}")).await.data()
}

async fn state(app: &TestApp, instance: &str) -> String {
    shown(app, instance).await["breaker"]["state"].as_str().unwrap().to_owned()
}

/// Of what a subscriber was told, the types, and the states of breakers.
fn told(subscriber: &HttpReceiver) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let bodies = subscriber.received().into_iter().map(|request| request.json());
    let told = bodies.filter(|body| !body["data"]["breaker"].is_null());
    told.map(|body| (text(&body["type"]), text(&body["data"]["breaker"]["state"]))).collect()
}

async fn subscriber(app: &TestApp) -> HttpReceiver {
    let subscriber = HttpReceiver::start().await;
    let body = json!({ "url": subscriber.url("/"), "states": ["read"] });
    assert_eq!(app.post("/api/messaging/subscriptions/status", &body).await.status, 201);
    subscriber
}

async fn is_told(subscriber: &HttpReceiver, kind: &str, state: &str) {
    let wanted = (kind.to_owned(), state.to_owned());
    eventually(SOON, &format!("the subscriber is told {wanted:?}"), async || {
        told(subscriber).contains(&wanted).then_some(())
    })
    .await;
}

/// The time of the next probe comes, and it has failed since long ago.
async fn time_passes(app: &TestApp) {
    app.sql("update messaging_breakers set since = '2020-01-01T00:00:00.000Z', probe_at = '2020-01-01T00:00:00.000Z'")
        .await;
}

async fn a_caller_of_what_fails_is_told_when_to_come_back(installation: Installation) {
    let shop = HttpReceiver::start().await;
    shop.always(Answer::new(503, "fechado"));
    let app = TestApp::start(installation).await;
    let subscriber = subscriber(&app).await;
    let instance = app.create_instance(&hook("loja", &shop.url("/"))).await;
    assert_eq!(state(&app, &instance).await, "closed");
    for number in 0..5 {
        assert_eq!(app.send(&message("loja", number)).await.status, 502);
    }

    let refused = app.send(&message("loja", 5)).await;
    assert_eq!(refused.status, 503, "{}", refused.json());
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(app.sql_number("select count(*) from messaging_messages where purpose is null").await, 5);
    let breaker = shown(&app, &instance).await["breaker"].clone();
    assert_eq!((&breaker["state"], breaker["since"].is_string()), (&json!("open"), true), "{breaker}");
    assert!(breaker["reason"].as_str().unwrap().contains("503"), "{breaker}");
    let health = app.get("/health").await.json();
    let line = &health["breakers"][0];
    assert_eq!((&health["openBreakers"], &line["instanceId"]), (&json!(1), &json!(instance)), "{health}");
    assert_eq!((&line["state"], &line["reason"]), (&json!("open"), &json!("Calls of the instance fail.")));
    assert!(line["since"].is_string(), "{line}");
    is_told(&subscriber, "instance.breaker", "open").await;
    let called = shop.how_many();

    shop.always(Answer::new(200, ""));
    let sent = eventually(SOON * 2, "the time of the probe comes", async || {
        let answer = app.send(&message("loja", 6)).await;
        (answer.status == 200).then_some(answer)
    });
    sent.await;
    assert_eq!(shop.how_many(), called + 1, "it was not called before");
    assert_eq!(shown(&app, &instance).await["breaker"], json!({ "state": "closed", "since": null, "reason": null }));
    is_told(&subscriber, "instance.breaker", "closed").await;
    eventually(SOON, "nothing is kept of it", async || {
        (app.sql_number("select count(*) from messaging_breakers").await == 0).then_some(())
    })
    .await;
}

async fn what_fails_for_days_is_disabled_until_a_person_lets_it_in(installation: Installation) {
    let shop = HttpReceiver::start().await;
    shop.always(Answer::new(500, "quebrado"));
    let app = TestApp::start(installation).await;
    let subscriber = subscriber(&app).await;
    let instance = app.create_instance(&hook("loja", &shop.url("/"))).await;
    for number in 0..5 {
        assert_eq!(app.send(&message("loja", number)).await.status, 502);
    }
    is_told(&subscriber, "instance.breaker", "open").await;
    time_passes(&app).await;
    eventually(SOON, "a probe is made, and fails", async || {
        (app.send(&message("loja", 6)).await.status == 502).then_some(())
    })
    .await;
    is_told(&subscriber, "instance.disabled", "open").await;
    eventually(SOON, "it is disabled", async || {
        (shown(&app, &instance).await["status"] == json!("disabled")).then_some(())
    })
    .await;
    let listed = app.correio(&["instances", "list"]).await;
    assert!(listed.contains("\tdisabled\t"), "{listed}");
    shop.always(Answer::new(200, ""));
    time_passes(&app).await;
    let (called, queued) = (shop.how_many(), app.send(&message("loja", 7)).await);
    assert_eq!((queued.status, &queued.data()["status"]), (202, &json!("queued")), "{}", queued.json());
    let id = queued.message_id();
    eventually(SOON, "it is put off", async || {
        let row = app.sql_message(&id).await;
        row["error"].as_str().is_some_and(|error| error.contains("DISABLE_AFTER")).then_some(())
    })
    .await;
    assert_eq!(shop.how_many(), called);

    let path = format!("/api/messaging/instances/{instance}");
    let changed = app.patch(&path, &json!({ "name": "Loja" })).await.data();
    assert_eq!(
        (&changed["status"], &changed["breaker"]["state"]),
        (&json!("connected"), &json!("closed")),
        "{changed}"
    );
    eventually(SOON, "what waited is delivered", async || (app.sql_status(&id).await == "sent").then_some(())).await;
    assert_eq!(app.sql_message(&id).await["retries"].as_i64(), Some(1));
    is_told(&subscriber, "instance.breaker", "closed").await;
}

async fn a_host_without_an_answer_is_not_called_for_any_of_its_instances(installation: Installation) {
    let nobody = closed_port().await;
    let app = TestApp::start(installation).await;
    let first = app.create_instance(&hook("um", &format!("http://{nobody}/um"))).await;
    let second = app.create_instance(&hook("dois", &format!("http://{nobody}/dois"))).await;
    for number in 0..5 {
        assert_eq!(app.send(&message("um", number)).await.status, 502);
    }
    let refused = app.send(&message("dois", 1)).await;
    assert_eq!(refused.status, 503, "{}", refused.json());
    for instance in [&first, &second] {
        assert_eq!(state(&app, instance).await, "open");
    }
    // Elsewhere it is another host.
    let shop = HttpReceiver::start().await;
    let path = format!("/api/messaging/instances/{second}");
    assert_eq!(app.patch(&path, &json!({ "channelPhoneOrId": shop.url("/") })).await.status, 200);
    assert_eq!(app.send(&message("dois", 2)).await.status, 200);
    assert_eq!(state(&app, &second).await, "closed");
}

async fn what_waits_for_what_fails_spends_no_try_and_goes_out_once_it_works(installation: Installation) {
    const MESSAGES: usize = 30;
    let shop = HttpReceiver::start().await;
    shop.always(Answer::new(503, "fechado"));
    let app = TestApp::start_with(installation, &[("RETRY_BACKOFF", "1s")]).await;
    let instance = app.create_instance(&hook("loja", &shop.url("/"))).await;
    for number in 0..6 {
        app.accepted(&app.send(&message("loja", number)).await);
    }
    eventually(SOON, "it opens", async || (state(&app, &instance).await == "open").then_some(())).await;
    let mut ids = Vec::new();
    for number in 10..MESSAGES {
        ids.push(app.accepted(&app.send(&message("loja", number)).await));
    }
    for id in &ids {
        eventually(SOON, "it is put off", async || {
            let row = app.sql_message(id).await;
            row["error"].as_str().is_some_and(|error| error.contains("until a probe works")).then_some(())
        })
        .await;
    }
    // One of them may be a probe by now.
    assert!(tries(&app, &ids).await <= 2);
    assert!(shop.how_many() < 20, "{} calls", shop.how_many());

    shop.always(Answer::new(200, ""));
    for id in &ids {
        eventually(SOON * 2, "it is delivered", async || (app.sql_status(id).await == "sent").then_some(())).await;
    }
    let tries = tries(&app, &ids).await;
    assert!(tries <= ids.len() as i64 + 2, "{tries} tries");
    assert_eq!(state(&app, &instance).await, "closed");
}

/// That were spent on all of these.
async fn tries(app: &TestApp, ids: &[String]) -> i64 {
    let mut tries = 0;
    for id in ids {
        tries += app.sql_message(id).await["retries"].as_i64().unwrap();
    }
    tries
}
