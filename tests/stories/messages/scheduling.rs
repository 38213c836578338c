use serde_json::{Value, json};

use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    the_time_of_a_message_that_was_sent_at_once_is_shown;
    on_every_installation:
    a_message_with_a_time_waits_for_it_and_is_then_sent;
);

fn at(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn to_send_at(time: &str) -> Value {
    let mut body = to_sandbox("5585999999999");
    body["sendAt"] = json!(time);
    body
}

async fn a_message_with_a_time_waits_for_it_and_is_then_sent(installation: Installation) {
    let app = TestApp::start(installation).await;
    let time = at(chrono::Utc::now() + chrono::Duration::seconds(3));
    // The same moment, written with another offset.
    let body = to_send_at(&time.replace('Z', "+00:00"));
    let answer = app.send_once("lembrete", &body).await;
    let id = answer.message_id();
    let queued = json!({ "messageId": id, "status": "queued", "queued": true });
    assert_eq!((answer.status, answer.data()), (202, queued.clone()));
    let waiting = app.message(&id).await;
    assert_eq!((&waiting["status"], &waiting["retries"]), (&json!("queued"), &json!(0)));
    assert_eq!((&waiting["sendAt"], &waiting["nextAttemptAt"]), (&json!(time), &json!(time)));

    let sent = app.ended(&id).await;
    assert_eq!(
        (&sent["status"], &sent["sendAt"], &sent["nextAttemptAt"]),
        (&json!("sent"), &json!(time), &json!(null))
    );
    assert!(sent["sentAt"].as_str().unwrap() >= time.as_str(), "{sent}");
    let again = app.send_once("lembrete", &body).await;
    assert_eq!((again.status, again.data()), (202, queued));
}

async fn the_time_of_a_message_that_was_sent_at_once_is_shown(installation: Installation) {
    let app = TestApp::start(installation).await;
    let message = app.sent(&to_send_at("2026-01-18T09:00:00.5-03:00")).await;
    assert_eq!((&message["sendAt"], &message["retries"]), (&json!("2026-01-18T12:00:00.500Z"), &json!(1)));
}
