use serde_json::{Value, json};

use crate::support::caller::{REFUSED, to_sandbox};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    only_a_failed_message_is_replayed,
    failed_messages_are_replayed_by_instance_and_time;
    on_every_queue:
    a_failed_message_that_is_replayed_starts_its_tries_again,
    an_operator_replays_from_the_command_line,
    a_row_that_cannot_be_read_keeps_no_other_from_its_end;
);

const MANY: &str = "/api/messaging/messages/retry";

fn to_webhook(instance: &str) -> Value {
    json!({ "channel": "webhook", "channelInstanceId": instance, "remoteJid": "loja", "message": "Olá!" })
}

/// Webhooks with these names, at one receiver that refuses everything.
async fn webhooks_that_refuse(app: &TestApp, names: &[&str]) -> HttpReceiver {
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(410, "gone"));
    for name in names {
        let url = receiver.url("/hook");
        let webhook = json!({ "channel": "webhook", "channelInstanceId": name, "channelPhoneOrId": url });
        app.create_instance(&webhook).await;
    }
    receiver
}

async fn failed(app: &TestApp, instance: &str) -> String {
    app.fails(&to_webhook(instance), REFUSED).await["id"].as_str().unwrap().to_owned()
}

/// Rows that somebody edited by hand.
async fn a_row_that_cannot_be_read_keeps_no_other_from_its_end(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = webhooks_that_refuse(&app, &["pedidos"]).await;
    let (broken, other) = (failed(&app, "pedidos").await, failed(&app, "pedidos").await);
    receiver.always(Answer::new(200, ""));
    app.sql(&format!(
        "update messaging_messages
            set max_retries = -1, status = 'queued', next_attempt_at = '2026-01-18T12:00:00.000Z'
          where id = '{broken}'"
    ))
    .await;
    let answer = app.post(&format!("/api/messaging/messages/{other}/retry"), &json!({})).await;
    assert_eq!(answer.status, 202);
    assert_eq!(app.ended(&other).await["status"], "sent");
}

async fn a_failed_message_that_is_replayed_starts_its_tries_again(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = webhooks_that_refuse(&app, &["pedidos"]).await;
    let id = failed(&app, "pedidos").await;
    receiver.always(Answer::new(200, ""));

    let answer = app.post(&format!("/api/messaging/messages/{id}/retry"), &json!({})).await;
    assert_eq!((answer.status, answer.data()), (202, json!({ "messageId": id, "status": "queued" })));
    let message = app.ended(&id).await;
    assert_eq!((&message["status"], &message["retries"]), (&json!("sent"), &json!(1)), "{message}");
    assert_eq!(message["error"], json!(null));
    let attempts = message["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (&attempt["number"], &attempt["outcome"])).collect();
    assert_eq!(told, [(&json!(1), &json!("permanent")), (&json!(2), &json!("sent"))], "attempts go on counting");
    assert_eq!(app.sql_message(&id).await["dead_lettered_at"], json!(null));
}

async fn only_a_failed_message_is_replayed(installation: Installation) {
    let app = TestApp::start(installation).await;
    let sent = app.sent(&to_sandbox("5585999999999")).await;
    let id = sent["id"].as_str().unwrap();
    let answer = app.post(&format!("/api/messaging/messages/{id}/retry"), &json!({})).await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "conflict"));
    assert_eq!(app.message(id).await, sent);

    let unknown = "/api/messaging/messages/019bd8a2-0000-7000-8000-000000000000/retry";
    assert_eq!(app.post(unknown, &json!({})).await.problem(), "unknown-message");
    let stranger = app.holder_of_a_key("another", &[]).await;
    let refused = app.bring_to_its_end(&to_sandbox("fail-permanent")).await;
    let theirs = format!("/api/messaging/messages/{refused}/retry");
    assert_eq!(stranger.post(&theirs, &json!({})).await.problem(), "unknown-message");
    assert_eq!(stranger.post(MANY, &json!({ "status": "failed" })).await.data(), json!({ "retried": 0 }));
    assert_eq!(app.sql_status(&refused).await, "failed");
    assert_eq!(app.post(MANY, &json!({ "status": "sent" })).await.paths(), ["/status"]);
}

async fn failed_messages_are_replayed_by_instance_and_time(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = webhooks_that_refuse(&app, &["pedidos", "notas"]).await;
    let old = failed(&app, "pedidos").await;
    let young = failed(&app, "pedidos").await;
    let other = failed(&app, "notas").await;
    receiver.always(Answer::new(200, ""));
    let since = app.message(&young).await["createdAt"].clone();

    let of_one = json!({ "status": "failed", "channelInstanceId": "pedidos", "createdAfter": since });
    let answer = app.post(MANY, &of_one).await;
    assert_eq!((answer.status, answer.data()), (202, json!({ "retried": 1 })));
    assert_eq!(app.ended(&young).await["status"], "sent");
    for untouched in [&old, &other] {
        assert_eq!(app.sql_status(untouched).await, "failed");
    }

    let answer = app.post(MANY, &json!({ "status": "failed" })).await;
    assert_eq!(answer.data(), json!({ "retried": 2 }));
    for replayed in [&old, &other] {
        assert_eq!(app.ended(replayed).await["status"], "sent");
    }
    assert_eq!(app.post(MANY, &json!({ "status": "failed" })).await.data(), json!({ "retried": 0 }));
}

async fn an_operator_replays_from_the_command_line(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = webhooks_that_refuse(&app, &["pedidos", "notas"]).await;
    let (first, second) = (failed(&app, "pedidos").await, failed(&app, "pedidos").await);
    let other = failed(&app, "notas").await;
    receiver.always(Answer::new(200, ""));

    assert_eq!(app.correio(&["replay", &first]).await, "1");
    assert_eq!(app.ended(&first).await["status"], "sent");
    assert_eq!(app.correio(&["replay", "--instance", "pedidos"]).await, "1");
    assert_eq!(app.ended(&second).await["status"], "sent");
    assert_eq!(app.sql_status(&other).await, "failed");
    assert_eq!(app.correio(&["replay", "--all"]).await, "1");
    assert_eq!(app.ended(&other).await["status"], "sent");
}
