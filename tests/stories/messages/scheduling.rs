use serde_json::{Value, json};

use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    the_time_of_a_message_that_was_sent_at_once_is_shown,
    what_is_ahead_is_listed_and_can_be_taken_back,
    messages_are_sent_soon_after_their_time_while_others_are;
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

async fn what_is_ahead_is_listed_and_can_be_taken_back(installation: Installation) {
    let app = TestApp::start(installation).await;
    app.sent(&to_sandbox("5585999999999")).await;
    let ahead = app.send(&to_send_at(&at(chrono::Utc::now() + chrono::Duration::days(300)))).await.message_id();
    let listed = app.get("/api/messaging/messages?scheduled=true").await.data();
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, [&json!(ahead)]);
    assert_eq!(app.get("/api/messaging/messages?status=queued").await.data()[0]["id"], json!(ahead));
    assert_eq!(app.get("/api/messaging/messages?scheduled=false").await.data().as_array().unwrap().len(), 2);
    assert_eq!(app.get("/api/messaging/messages?scheduled=perhaps").await.paths(), ["/scheduled"]);
    let cancelled = app.post(&format!("/api/messaging/messages/{ahead}/cancel"), &json!({})).await;
    // On PostgreSQL a message that looks queued may be under way for a while after the server's start.
    assert!([200, 503].contains(&cancelled.status), "{}", cancelled.json());
    let left = app.get("/api/messaging/messages?scheduled=true").await.data().as_array().unwrap().len();
    assert_eq!(left, usize::from(cancelled.status == 503));
    let far = at(chrono::Utc::now() + chrono::Duration::days(367));
    assert_eq!(app.send(&to_send_at(&far)).await.paths(), ["/sendAt"]);
    assert_eq!(app.send(&to_send_at("2027-01-18T12:00:00")).await.paths(), ["/sendAt"]);
}

async fn messages_are_sent_soon_after_their_time_while_others_are(installation: Installation) {
    let app = TestApp::start(installation).await;
    let time = chrono::Utc::now() + chrono::Duration::seconds(3);
    let mut ids = Vec::new();
    for number in 0..20 {
        let mut body = to_send_at(&at(time));
        body["remoteJid"] = json!(format!("r{number}"));
        ids.push(app.send(&body).await.message_id());
    }
    while chrono::Utc::now() < time {
        app.send(&to_sandbox("5585999999999")).await;
    }
    for id in ids {
        let sent = app.ended(&id).await["sentAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let late = (sent - time).num_milliseconds();
        // The relay looks twice a second; the rest is for a machine that is busy with other tests.
        assert!((0..5_000).contains(&late), "{late} ms late");
    }
}

async fn the_time_of_a_message_that_was_sent_at_once_is_shown(installation: Installation) {
    let app = TestApp::start(installation).await;
    let message = app.sent(&to_send_at("2026-01-18T09:00:00.5-03:00")).await;
    assert_eq!((&message["sendAt"], &message["retries"]), (&json!("2026-01-18T12:00:00.500Z"), &json!(1)));
}
