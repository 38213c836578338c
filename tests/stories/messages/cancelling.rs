use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    what_has_ended_or_is_not_there_is_not_cancelled,
    a_cancelled_message_is_counted_and_found_as_such;
    on_every_queue:
    a_message_that_waits_for_its_time_is_cancelled_and_never_sent;
);

fn in_seconds(seconds: i64) -> String {
    let time = chrono::Utc::now() + chrono::Duration::seconds(seconds);
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn path_of(id: &str) -> String {
    format!("/api/messaging/messages/{id}/cancel")
}

/// Asks until it is answered otherwise than that the database has just started.
async fn cancel(app: &TestApp, id: &str) -> Answered {
    eventually(SOON, "the database started long enough ago", async || {
        let answer = app.post(&path_of(id), &json!({})).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

async fn a_message_that_waits_for_its_time_is_cancelled_and_never_sent(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(200, ""));
    let url = receiver.url("/hook");
    let webhook = json!({ "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": url });
    app.create_instance(&webhook).await;
    let reminder = |text: &str, seconds: i64| -> Value {
        json!({
            "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "loja",
            "message": text, "sendAt": in_seconds(seconds)
        })
    };
    let first = app.send_once("lembrete", &reminder("Não mais", 3_600)).await;
    let id = first.message_id();
    let answer = cancel(&app, &id).await;
    let cancelled = json!({ "messageId": id, "status": "cancelled" });
    assert_eq!((answer.status, answer.data()), (200, cancelled.clone()));
    let again = cancel(&app, &id).await;
    assert_eq!((again.status, again.data()), (200, cancelled));

    // What is sent later arrives, and it has not.
    let later = app.send(&reminder("Agora", 1)).await.message_id();
    assert_eq!(app.ended(&later).await["status"], "sent");
    assert_eq!(receiver.only().json()["data"]["message"], "Agora");
    let message = app.message(&id).await;
    assert_eq!((&message["status"], &message["nextAttemptAt"]), (&json!("cancelled"), &json!(null)), "{message}");
    assert_eq!((&message["retries"], &message["attempts"]), (&json!(0), &json!([])), "{message}");
}

async fn what_has_ended_or_is_not_there_is_not_cancelled(installation: Installation) {
    let app = TestApp::start(installation).await;
    let sent = app.sent(&to_sandbox("5585999999999")).await;
    let id = sent["id"].as_str().unwrap();
    let answer = app.post(&path_of(id), &json!({})).await;
    assert_eq!((answer.status, answer.problem()), (409, "conflict".to_owned()));
    assert_eq!(answer.json()["detail"], "The message is sent; only a queued message can be cancelled.");
    assert_eq!(app.message(id).await, sent);
    for id in ["01a20847-0000-7000-8000-000000000000", "nada"] {
        let answer = app.post(&path_of(id), &json!({})).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-message".to_owned()));
    }
}

async fn a_cancelled_message_is_counted_and_found_as_such(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut body = to_sandbox("5585999999999");
    body["sendAt"] = json!(in_seconds(3_600));
    let id = app.send(&body).await.message_id();
    assert_eq!(cancel(&app, &id).await.status, 200);
    let found = app.get("/api/messaging/messages?status=cancelled").await.data();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (1, &json!(id)));
    let stats = app.get("/api/messaging/messages/stats").await.data();
    assert_eq!((&stats["cancelled"], &stats["queued"], &stats["total"]), (&json!(1), &json!(0), &json!(1)));
    let retry = app.post(&format!("/api/messaging/messages/{id}/retry"), &json!({})).await;
    assert_eq!((retry.status, retry.problem()), (409, "conflict".to_owned()));
    let counted = app.sql_number("select count from messaging_status_counts where status = 'cancelled'").await;
    assert_eq!(counted, 1);
}
