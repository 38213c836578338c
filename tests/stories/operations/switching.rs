//! The flag is flipped: what one mode left, the other delivers.

use reqwest::Method;

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::{Installation, Mode};
use crate::support::modes::on_installation;
use crate::support::test_app::TestApp;

on_installation!(mock: what_waits_for_kafka_is_delivered_without_it what_is_pending_is_delivered_through_kafka);
on_installation!(real_kafka:
    what_waits_for_kafka_is_delivered_without_it
    what_is_pending_is_delivered_through_kafka
    what_no_worker_has_seen_is_delivered_without_kafka
);

const SETTINGS: [(&str, &str); 2] = [("NODE_TIMEOUT", "1s"), ("WORKER_CONCURRENCY", "1")];

async fn what_waits_for_kafka_is_delivered_without_it(installation: Installation) {
    let mut app = TestApp::start_with(installation, &SETTINGS).await;
    let mut waiting = vec![];
    for _ in 0..5 {
        waiting.push(app.accepted(&app.send(&to_sandbox("slow-1000ms")).await));
    }
    app.kill9();
    app.installation.mode = Mode::Direct;
    app.restart().await;
    for id in waiting {
        assert_eq!(app.ended(&id).await["status"], "sent");
    }
    app.sent(&to_sandbox("5585999999999")).await;
}

async fn what_is_pending_is_delivered_through_kafka(mut installation: Installation) {
    let kafka = std::mem::replace(&mut installation.mode, Mode::Direct);
    let mut app = TestApp::start_with(installation, &SETTINGS).await;
    let caller = app.caller();
    let sending = tokio::spawn(async move {
        let request = caller.request(Method::POST, "/api/messaging/message/send").json(&to_sandbox("slow-3000ms"));
        let _killed = request.send().await;
    });
    let pending = eventually(SOON, "it is pending", async || {
        app.sql("select id from messaging_messages where status = 'pending'").await.pop()
    })
    .await;
    app.kill9();
    sending.await.unwrap();
    app.installation.mode = kafka;
    app.restart().await;
    assert_eq!(app.ended(pending["id"].as_str().unwrap()).await["status"], "sent");
    app.sent(&to_sandbox("5585999999999")).await;
}

async fn what_no_worker_has_seen_is_delivered_without_kafka(installation: Installation) {
    let mut app = TestApp::start_api(installation, &SETTINGS).await;
    let mut waiting = vec![];
    for number in 0..20 {
        waiting.push(app.accepted(&app.send(&to_sandbox(&number.to_string())).await));
    }
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    app.installation.mode = Mode::Direct;
    app.restart_in_every_role().await;
    for id in waiting {
        let message = app.ended(&id).await;
        assert_eq!((&message["status"], &message["retries"]), (&"sent".into(), &1.into()), "{message}");
    }
}
