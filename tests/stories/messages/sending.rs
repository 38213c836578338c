use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::caller::{Failure, REFUSED, TRANSIENT, UNKNOWN, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

stories!(
    on_one_installation:
    whatsapp_gets_texts_and_media_of_each_type;
    in_both_modes:
    a_webhook_that_fails_is_the_channels_fault_and_one_that_refuses_the_recipients,
    whatsapp_failures_are_told_apart;
    on_both_databases:
    a_priority_is_shown_and_stored;
    on_every_queue:
    a_payload_arrives_at_a_webhook_byte_for_byte_and_signed,
    a_message_arrives_at_a_webhook_in_its_envelope;
    on_every_installation:
    a_message_that_the_channel_takes_is_sent_and_its_try_is_listed,
    a_failure_is_said_in_the_row_which_is_marked_when_its_dead_letter_is_out;
    in_direct_mode:
    who_waits_is_told_what_the_channel_said,
    too_many_requests_for_one_recipient_are_to_come_again,
    who_has_waited_for_too_long_is_told_that_it_is_pending;
    in_kafka_mode:
    who_does_not_wait_is_told_that_it_is_queued_and_finds_the_states_in_sql,
    a_message_that_fails_and_then_does_not_is_sent,
    a_message_may_have_tries_of_its_own,
    a_webhook_gets_the_same_message_on_every_try;
);

fn to_webhook(payload: &Value) -> Value {
    json!({ "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "loja-1", "payload": payload })
}

async fn a_webhook(app: &TestApp) -> HttpReceiver {
    let receiver = HttpReceiver::start().await;
    app.create_instance(&json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": receiver.url("/hook"),
        "credentials": { "secret": SECRET },
    }))
    .await;
    receiver
}

/// Sends what fails so, and finds it in the row.
async fn fails(app: &TestApp, body: &Value, failure: Failure) -> Value {
    let message = app.fails(body, failure).await;
    let row = app.sql_message(message["id"].as_str().unwrap()).await;
    assert_eq!((&row["status"], &row["error"]), (&json!("failed"), &message["error"]));
    assert_eq!(row["retries"], app.tries(failure));
    message
}

async fn a_message_that_the_channel_takes_is_sent_and_its_try_is_listed(installation: Installation) {
    let app = TestApp::start(installation).await;
    let message = app.sent(&to_sandbox("5585999999999")).await;
    let id = message["id"].as_str().unwrap();
    assert_eq!(message["channelMessageId"], format!("sandbox-{id}"));
    let sent_at = message["sentAt"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(sent_at).is_ok() && sent_at.ends_with('Z'), "{sent_at}");
    let attempts = message["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{message}");
    assert_eq!((&attempts[0]["number"], &attempts[0]["outcome"]), (&json!(1), &json!("sent")));
    assert!(attempts[0]["startedAt"].is_string() && attempts[0]["finishedAt"].is_string(), "{message}");

    let row = app.sql_message(id).await;
    assert_eq!(row["status"], "sent");
    assert_eq!(row["retries"], 1);
    assert_eq!(row["tenant"], "default");
    assert_eq!(row["direction"], "sent");
    assert!(row["user_id"].as_str().unwrap().starts_with("key:"));
    assert_eq!(row["remote_jid"], "5585999999999");
    assert_eq!(row["error"], json!(null));
}

async fn a_priority_is_shown_and_stored(installation: Installation) {
    let app = TestApp::start(installation).await;
    for priority in [json!(0), json!(9), json!(null)] {
        let mut body = to_sandbox("5585999999999");
        body["priority"] = priority.clone();
        let message = app.sent(&body).await;
        assert_eq!(message["priority"], priority);
        assert_eq!(app.sql_message(message["id"].as_str().unwrap()).await["priority"], priority);
    }
}

async fn who_waits_is_told_what_the_channel_said(installation: Installation) {
    let app = TestApp::start(installation).await;
    let answer = app.send(&to_sandbox("5585999999999")).await;
    let message = app.message(&app.accepted(&answer)).await;
    assert_eq!(
        answer.data(),
        json!({
            "messageId": message["id"], "channelMessageId": message["channelMessageId"], "status": "sent",
            "timestamp": message["sentAt"],
        })
    );
}

async fn too_many_requests_for_one_recipient_are_to_come_again(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = a_webhook(&app).await;
    receiver.always(Answer::new(200, "").after(SOON));
    // One is being delivered, a hundred wait for it.
    let body = to_webhook(&json!({ "total": 1 }));
    let mut requests: FuturesUnordered<_> = (0..102).map(|_| app.send(&body)).collect();
    let refused = requests.next().await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"));
    assert_eq!(refused.json()["title"], "The recipient is busy");
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(retry_after > 0);
    eventually(SOON, "the first is being delivered", async || (receiver.how_many() == 1).then_some(())).await;
}

async fn who_does_not_wait_is_told_that_it_is_queued_and_finds_the_states_in_sql(installation: Installation) {
    let app = TestApp::start(installation).await;
    let id = app.accepted(&app.send(&to_sandbox("slow-1500ms")).await);
    assert_ne!(app.sql_status(&id).await, "sent", "the answer comes before the delivery");
    eventually(SOON, "it is processing", async || (app.sql_status(&id).await == "processing").then_some(())).await;
    let during = app.message(&id).await;
    assert_eq!(
        (&during["status"], &during["retries"], &during["sentAt"]),
        (&json!("processing"), &json!(1), &json!(null))
    );
    assert_eq!(app.ended(&id).await["status"], "sent");
}

async fn a_message_that_fails_and_then_does_not_is_sent(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = a_webhook(&app).await;
    receiver.next(Answer::new(503, ""));
    receiver.next(Answer::new(500, ""));
    let id = app.accepted(&app.send(&to_webhook(&json!({ "n": 1 }))).await);
    let message = app.ended(&id).await;
    assert_eq!((&message["status"], &message["retries"]), (&json!("sent"), &json!(3)), "{message}");
    assert_eq!(message["error"], json!(null), "what failed on the way is told by the attempts");
    let attempts = message["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (&attempt["number"], &attempt["outcome"])).collect();
    let (transient, sent) = (json!("transient"), json!("sent"));
    assert_eq!(told, [(&json!(1), &transient), (&json!(2), &transient), (&json!(3), &sent)]);
}

async fn a_message_may_have_tries_of_its_own(installation: Installation) {
    let app = TestApp::start_with(installation, &[("MAX_RETRIES", "2")]).await;
    let own = json!({ "channel": "sandbox", "channelInstanceId": "own", "channelPhoneOrId": "x", "maxRetries": 4 });
    app.create_instance(&own).await;
    let mut body = to_sandbox("fail-transient");
    let mut expected = vec![];
    for (name, tries) in [("sandbox", 2), ("own", 4)] {
        body["channelInstanceId"] = name.into();
        expected.push((body.clone(), tries));
    }
    body["maxRetries"] = 1.into();
    expected.push((body, 1));
    for (body, tries) in expected {
        let message = app.fails(&body, Failure { tries, ..TRANSIENT }).await;
        assert_eq!(message["maxRetries"], tries);
    }
}

async fn a_webhook_gets_the_same_message_on_every_try(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = a_webhook(&app).await;
    receiver.always(Answer::new(500, ""));
    let message = app.fails(&to_webhook(&json!({ "total": 4500 })), TRANSIENT).await;
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    for request in received {
        assert_eq!(request.header("webhook-id"), message["id"].as_str());
        assert_eq!(request.body, br#"{"total":4500}"#);
    }
}

async fn a_failure_is_said_in_the_row_which_is_marked_when_its_dead_letter_is_out(installation: Installation) {
    let app = TestApp::start(installation).await;
    for (recipient, failure) in [("fail-transient", TRANSIENT), ("fail-permanent", REFUSED)] {
        let failed = fails(&app, &to_sandbox(recipient), failure).await;
        eventually(SOON, "its dead letter is out", async || {
            let row = app.sql_message(failed["id"].as_str().unwrap()).await;
            (row["dead_lettered_at"] != json!(null)).then_some(())
        })
        .await;
    }
}

async fn a_payload_arrives_at_a_webhook_byte_for_byte_and_signed(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = a_webhook(&app).await;
    let body = r#"{"channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "loja-1",
                   "payload": {"total": 4500.00, "cliente": "José"}}"#;
    let sent = app.accepted(&app.post_text("/api/messaging/message/send", body).await);
    app.ended(&sent).await;

    let request = receiver.only();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), r#"{"total":4500.00,"cliente":"José"}"#);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some(concat!("Correio/", env!("CARGO_PKG_VERSION"))));
    let id = request.header("webhook-id").unwrap();
    assert_eq!(id, sent);
    let timestamp = request.header("webhook-timestamp").unwrap();
    let sent_at: i64 = timestamp.parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - sent_at).abs() < 60, "{timestamp}");

    let mut signature = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(&SECRET[6..]).unwrap()).unwrap();
    signature.update(format!("{id}.{timestamp}.").as_bytes());
    signature.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(signature.finalize().into_bytes()));
    assert_eq!(request.header("webhook-signature"), Some(expected.as_str()));
}

async fn a_message_arrives_at_a_webhook_in_its_envelope(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = a_webhook(&app).await;
    let message = app
        .sent(&json!({
            "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "loja-1", "message": "Olá!",
            "mediaUrl": "https://x.example/a.png",
        }))
        .await;
    assert_eq!(
        receiver.only().json(),
        json!({
            "type": "message", "timestamp": message["createdAt"],
            "data": {
                "messageId": message["id"], "remoteJid": "loja-1", "message": "Olá!",
                "mediaUrl": "https://x.example/a.png", "mediaType": "image",
            },
        })
    );
}

async fn a_webhook_that_fails_is_the_channels_fault_and_one_that_refuses_the_recipients(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = a_webhook(&app).await;
    let cases = [(500, TRANSIENT), (408, TRANSIENT), (429, TRANSIENT), (400, REFUSED), (410, REFUSED), (302, REFUSED)];
    for (told, failure) in cases {
        receiver.forget();
        receiver.always(Answer::new(told, "no").with("location", "/elsewhere"));
        let message = fails(&app, &to_webhook(&json!({ "n": told })), failure).await;
        assert_eq!(message["attempts"][0]["httpStatus"], told, "{message}");
        let requests = receiver.received().len() as i64;
        assert_eq!(requests, app.tries(failure), "one a try, and no redirect followed");
    }
    drop(receiver);
    let answer = app.send(&to_webhook(&json!(null))).await;
    assert_eq!(answer.paths(), ["/message"], "a payload of null is none");
    fails(&app, &to_webhook(&json!([1])), TRANSIENT).await;
}

async fn a_whatsapp(app: &TestApp) -> HttpReceiver {
    let evolution = HttpReceiver::start().await;
    app.create_instance(&json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
        "credentials": { "baseUrl": evolution.url(""), "apiKey": "the-key-of-evolution" },
    }))
    .await;
    evolution.always(Answer::json(201, &json!({ "key": { "id": "3EB0A1", "fromMe": true }, "status": "PENDING" })));
    evolution
}

fn to_whatsapp(more: Value) -> Value {
    let mut body =
        json!({ "channel": "whatsapp_evolution", "channelInstanceId": "loja", "remoteJid": "5585999999999" });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn whatsapp_gets_texts_and_media_of_each_type(installation: Installation) {
    let app = TestApp::start(installation).await;
    let evolution = a_whatsapp(&app).await;
    let media = |media_type: &str, file: &str| {
        let url = format!("https://x.example/{file}");
        json!({ "message": "Veja", "mediaUrl": url, "mediaType": media_type })
    };
    let cases = [
        (json!({ "message": "Olá!" }), "/message/sendText/loja", json!({ "text": "Olá!" })),
        (media("image", "a.png"), "/message/sendMedia/loja", json!({ "mediatype": "image", "caption": "Veja" })),
        (media("video", "a.mp4"), "/message/sendMedia/loja", json!({ "mediatype": "video", "fileName": "a.mp4" })),
        (
            media("document", "a.pdf"),
            "/message/sendMedia/loja",
            json!({ "mediatype": "document", "media": "https://x.example/a.pdf" }),
        ),
        (media("audio", "a.ogg"), "/message/sendWhatsAppAudio/loja", json!({ "audio": "https://x.example/a.ogg" })),
    ];
    for (more, path, expected) in cases {
        evolution.forget();
        let message = app.sent(&to_whatsapp(more)).await;
        assert_eq!(message["channelMessageId"], "3EB0A1");
        let request = evolution.only();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", path));
        assert_eq!(request.header("apikey"), Some("the-key-of-evolution"));
        let body = request.json();
        assert_eq!(body["number"], "5585999999999");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&body[name], value, "{body}");
        }
        assert_eq!(app.sql_message(message["id"].as_str().unwrap()).await["channel_message_id"], "3EB0A1");
    }
}

async fn whatsapp_failures_are_told_apart(installation: Installation) {
    let app = TestApp::start(installation).await;
    let evolution = a_whatsapp(&app).await;
    let said = |status: u16, message: Value| {
        Answer::json(status, &json!({ "status": status, "error": "x", "response": { "message": message } }))
    };
    let not_there = json!([{ "jid": "5585999999999@s.whatsapp.net", "exists": false, "number": "5585999999999" }]);
    // What says that nothing can be sent through the instance fails only the message whose caller waits: see
    // `instances::connecting`.
    let off = [
        said(401, json!("Unauthorized")),
        said(404, json!(["The \"loja\" instance does not exist"])),
        said(400, json!(["Error: Connection Closed"])),
        said(500, json!("Connection Closed")),
    ];
    let off = off.into_iter().filter(|_| app.waits()).map(|told| (told, TRANSIENT));
    let others = [
        (said(400, json!(["Error: rate-overlimit"])), TRANSIENT),
        // Not sent a second time: WhatsApp would show it twice.
        (Answer::Close, Failure { tries: 1, ..UNKNOWN }),
        (said(400, not_there), REFUSED),
    ];
    let cases = off.chain(others);
    for (told, failure) in cases {
        evolution.always(told);
        let message = fails(&app, &to_whatsapp(json!({ "message": "Olá!" })), failure).await;
        assert!(!message.to_string().contains("the-key-of-evolution"));
        let row = app.sql_message(message["id"].as_str().unwrap()).await;
        assert!(!row.to_string().contains("the-key-of-evolution"));
    }
}

async fn who_has_waited_for_too_long_is_told_that_it_is_pending(installation: Installation) {
    let app = TestApp::start_with(installation, &[("DIRECT_TIMEOUT", "1s")]).await;
    let answer = app.send_once("pedido-1", &to_sandbox("slow-3000ms")).await;
    let data = answer.data();
    assert_eq!((answer.status, &data["status"], &data["queued"]), (202, &json!("pending"), &Value::Null), "{data}");
    let id = answer.message_id();
    assert_eq!(app.send_once("pedido-1", &to_sandbox("slow-3000ms")).await.status, 409, "it is under way");
    let sent = eventually(SOON, "the try goes on", async || {
        let message = app.message(&id).await;
        (message["status"] == "sent").then_some(message)
    })
    .await;
    assert_eq!(sent["retries"], 1, "{sent}");
    assert_eq!(app.send_once("pedido-1", &to_sandbox("slow-3000ms")).await.status, 200);
}
