//! Instances that are called no more often than their rate allows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::HttpReceiver;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_rate_is_a_whole_number_within_bounds;
    in_direct_mode:
    a_caller_who_is_too_fast_is_told_when_to_come_back,
    a_message_whose_turn_is_far_off_is_stored_and_delivered_then;
    in_kafka_mode:
    a_pace_holds_whatever_waits_and_whoever_delivers,
    messages_to_one_recipient_keep_their_order_at_a_pace,
    a_pace_that_is_lifted_holds_nothing_back;
);

fn paced(hook: &HttpReceiver, rate: u32) -> Value {
    json!({
        "channel": "webhook", "channelInstanceId": "campanha", "channelPhoneOrId": hook.url("/"),
        "rateLimitPerMinute": rate,
    })
}

fn message(recipient: usize, text: &str) -> Value {
    json!({
        "channel": "webhook", "channelInstanceId": "campanha", "remoteJid": format!("cliente-{recipient}"), "message": text,
    })
}

async fn a_rate_is_a_whole_number_within_bounds(installation: Installation) {
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    for wrong in [json!(0), json!(1_000_001), json!(1.5), json!("20"), json!(-1)] {
        let mut body = paced(&hook, 1);
        body["rateLimitPerMinute"] = wrong.clone();
        let refused = app.post("/api/messaging/instances", &body).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.json());
        assert!(refused.json().to_string().contains("/rateLimitPerMinute"), "{}", refused.json());
    }
    let made = app.post("/api/messaging/instances", &paced(&hook, 20)).await;
    assert_eq!(
        (made.status, &made.data()["rateLimitPerMinute"], &made.data()["burst"]),
        (201, &json!(20), &Value::Null)
    );
    let path = format!("/api/messaging/instances/{}", made.data()["id"].as_str().unwrap());
    let changed = app.patch(&path, &json!({ "rateLimitPerMinute": 1_000_000, "burst": 5 })).await.data();
    assert_eq!((&changed["rateLimitPerMinute"], &changed["burst"]), (&json!(1_000_000), &json!(5)));
    assert_eq!(app.patch(&path, &json!({ "burst": 0 })).await.status, 422);
    let cleared = app.patch(&path, &json!({ "rateLimitPerMinute": null, "burst": null })).await.data();
    assert_eq!((&cleared["rateLimitPerMinute"], &cleared["burst"]), (&Value::Null, &Value::Null));
    let shown = app.get(&path).await.data();
    assert_eq!((&shown["rateLimitPerMinute"], &shown["burst"]), (&Value::Null, &Value::Null));
}

async fn a_caller_who_is_too_fast_is_told_when_to_come_back(installation: Installation) {
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    app.create_instance(&paced(&hook, 10)).await;
    assert_eq!(app.send(&message(1, "um")).await.status, 200);

    let refused = app.send(&message(2, "dois")).await;
    assert_eq!(refused.status, 503, "{}", refused.json());
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 1, "nothing was stored");

    let sent = eventually(SOON, "its turn comes", async || {
        let answer = app.send(&message(2, "dois")).await;
        (answer.status == 200).then_some(answer)
    });
    sent.await;
    let [first, second] = [0, 1].map(|index| hook.received()[index].at);
    assert!(second - first >= Duration::from_millis(5_500), "{:?}", second - first);
}

async fn a_message_whose_turn_is_far_off_is_stored_and_delivered_then(installation: Installation) {
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    let instance = app.create_instance(&paced(&hook, 1)).await;
    assert_eq!(app.send(&message(1, "um")).await.status, 200);
    let queued = app.send(&message(2, "dois")).await;
    assert_eq!((queued.status, &queued.data()["status"]), (202, &json!("queued")), "{}", queued.json());
    let id = queued.message_id();
    let row = app.sql_message(&id).await;
    assert_eq!((row["status"].as_str(), row["retries"].as_i64()), (Some("queued"), Some(0)));
    assert!(!row["next_attempt_at"].is_null(), "{row}");

    // Its turn would come in a minute.
    app.sql(&format!("update messaging_messages set next_attempt_at = created_at where id = '{id}'")).await;
    let path = format!("/api/messaging/instances/{instance}");
    assert_eq!(app.patch(&path, &json!({ "rateLimitPerMinute": 600 })).await.status, 200);
    eventually(SOON, "the relay delivers it", async || (app.sql_status(&id).await == "sent").then_some(())).await;
    let row = app.sql_message(&id).await;
    assert_eq!(row["retries"].as_i64(), Some(1));
}

async fn a_pace_holds_whatever_waits_and_whoever_delivers(installation: Installation) {
    const MESSAGES: usize = 60;
    let has_workers = !installation.is_sqlite();
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    let _worker = if has_workers { Some(app.another("worker").await) } else { None };
    app.create_instance(&paced(&hook, 600)).await;
    let ids = send_all(&app, (0..MESSAGES).map(|number| message(number, "oi"))).await;
    eventually(Duration::from_secs(60), "all are delivered", async || (hook.how_many() >= MESSAGES).then_some(()))
        .await;

    let at: Vec<_> = hook.received().iter().map(|request| request.at).collect();
    for (index, from) in at.iter().enumerate() {
        for (later, until) in at.iter().enumerate().skip(index + 1) {
            let slots = (*until - *from).as_millis() / 100 + 1;
            // A call that was slow to come here may be followed by those of the next slots.
            assert!((later - index) as u128 <= slots + 4, "{} calls in {:?}", later - index + 1, *until - *from);
        }
    }
    let took = *at.last().unwrap() - at[0];
    assert!(took >= Duration::from_millis(5_500), "{MESSAGES} messages in {took:?}");
    assert!(took <= Duration::from_secs(20), "{MESSAGES} messages in {took:?}");
    for id in ids {
        let row = app.sql_message(&id).await;
        assert_eq!((row["status"].as_str(), row["retries"].as_i64()), (Some("sent"), Some(1)), "{row}");
    }
}

async fn messages_to_one_recipient_keep_their_order_at_a_pace(installation: Installation) {
    const MESSAGES: usize = 50;
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    app.create_instance(&paced(&hook, 1_200)).await;
    for number in 0..MESSAGES {
        app.accepted(&app.send(&message(number % 3, &format!("{number:03}"))).await);
    }
    eventually(Duration::from_secs(60), "all are delivered", async || (hook.how_many() >= MESSAGES).then_some(()))
        .await;
    for recipient in 0..3 {
        let of = |body: &Value| body["data"]["remoteJid"] == json!(format!("cliente-{recipient}"));
        let bodies = hook.received().iter().map(|request| request.json()).filter(of).collect::<Vec<_>>();
        let texts: Vec<String> = bodies.iter().map(|body| body["data"]["message"].to_string()).collect();
        assert!(texts.len() >= MESSAGES / 3 && texts.is_sorted(), "{texts:?}");
    }
}

async fn a_pace_that_is_lifted_holds_nothing_back(installation: Installation) {
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    let instance = app.create_instance(&paced(&hook, 60)).await;
    send_all(&app, (0..5).map(|number| message(number, "oi"))).await;
    eventually(SOON, "the first is delivered", async || (hook.how_many() >= 1).then_some(())).await;
    let path = format!("/api/messaging/instances/{instance}");
    assert_eq!(app.patch(&path, &json!({ "rateLimitPerMinute": null })).await.status, 200);
    send_all(&app, (10..60).map(|number| message(number, "oi"))).await;
    eventually(SOON, "those that come now are not held back", async || (hook.how_many() >= 50).then_some(())).await;
}

async fn send_all(app: &TestApp, bodies: impl Iterator<Item = Value>) -> Vec<String> {
    let sending = bodies.map(|body| {
        let caller = app.caller();
        async move {
            let answer = caller.send(&body).await;
            caller.accepted(&answer)
        }
    });
    futures::future::join_all(sending).await
}
