use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::test_app::{Answered, TestApp, TestDatabase, on_both_databases, to_sandbox};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

on_both_databases!(
    a_message_that_the_channel_takes_is_sent_and_its_try_is_listed,
    a_channel_that_fails_answers_502_and_the_row_says_why,
    a_refused_recipient_answers_422_and_the_row_says_why,
    a_payload_arrives_at_a_webhook_byte_for_byte_and_signed,
    a_message_arrives_at_a_webhook_in_its_envelope,
    a_webhook_that_fails_is_the_channels_fault_and_one_that_refuses_the_recipients,
    whatsapp_gets_texts_and_media_of_each_type,
    whatsapp_failures_are_told_apart,
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

/// A failed send told its caller the message's id, and the row has the failure.
async fn assert_failed(app: &TestApp, answer: &Answered, status: u16, problem: &str) -> Value {
    assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{}", answer.json());
    assert_eq!(answer.data()["status"], "failed");
    let row = app.sql_message(&answer.message_id()).await;
    assert_eq!(row["status"], "failed");
    assert_eq!(row["error"], answer.json()["error"]);
    assert_eq!(row["retries"], 1);
    row
}

async fn a_message_that_the_channel_takes_is_sent_and_its_try_is_listed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let answer = app.send(&to_sandbox("5585999999999")).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let id = answer.message_id();
    let body = answer.json();
    assert_eq!(body["success"], true);
    assert_eq!(body["message"], "Mensagem enviada com sucesso");
    assert_eq!(body["data"]["status"], "sent");
    assert_eq!(body["data"]["channelMessageId"], format!("sandbox-{id}"));
    let timestamp = body["data"]["timestamp"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(timestamp).is_ok() && timestamp.ends_with('Z'), "{timestamp}");

    let row = app.sql_message(&id).await;
    assert_eq!(row["status"], "sent");
    assert_eq!(row["retries"], 1);
    assert_eq!(row["tenant"], "default");
    assert_eq!(row["direction"], "sent");
    assert!(row["user_id"].as_str().unwrap().starts_with("key:"));
    assert_eq!(row["remote_jid"], "5585999999999");
    assert_eq!(row["error"], json!(null));

    let message = app.message(&id).await;
    assert_eq!(message["status"], "sent");
    assert_eq!(message["sentAt"], timestamp);
    let attempts = message["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{message}");
    assert_eq!((&attempts[0]["number"], &attempts[0]["outcome"]), (&json!(1), &json!("sent")));
    assert!(attempts[0]["startedAt"].is_string() && attempts[0]["finishedAt"].is_string(), "{message}");
}

async fn a_channel_that_fails_answers_502_and_the_row_says_why(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let answer = app.send(&to_sandbox("fail-transient")).await;
    assert_failed(&app, &answer, 502, "channel-failed").await;
    let message = app.message(&answer.message_id()).await;
    assert_eq!(message["attempts"][0]["outcome"], "transient", "{message}");
    assert_eq!(message["attempts"][0]["error"], answer.json()["error"]);
}

async fn a_refused_recipient_answers_422_and_the_row_says_why(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let answer = app.send(&to_sandbox("fail-permanent")).await;
    assert_failed(&app, &answer, 422, "recipient-refused").await;
    let message = app.message(&answer.message_id()).await;
    assert_eq!(message["attempts"][0]["outcome"], "permanent", "{message}");
}

async fn a_payload_arrives_at_a_webhook_byte_for_byte_and_signed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let receiver = a_webhook(&app).await;
    let body = r#"{"channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "loja-1",
                   "payload": {"total": 4500.00, "cliente": "José"}}"#;
    let answer = app.post_text("/api/messaging/message/send", body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());

    let request = receiver.only();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), r#"{"total":4500.00,"cliente":"José"}"#);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some(concat!("Correio/", env!("CARGO_PKG_VERSION"))));
    let id = request.header("webhook-id").unwrap();
    assert_eq!(id, answer.message_id());
    let timestamp = request.header("webhook-timestamp").unwrap();
    let sent_at: i64 = timestamp.parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - sent_at).abs() < 60, "{timestamp}");

    let mut signature = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(&SECRET[6..]).unwrap()).unwrap();
    signature.update(format!("{id}.{timestamp}.").as_bytes());
    signature.update(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(signature.finalize().into_bytes()));
    assert_eq!(request.header("webhook-signature"), Some(expected.as_str()));
}

async fn a_message_arrives_at_a_webhook_in_its_envelope(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let receiver = a_webhook(&app).await;
    let answer = app
        .send(&json!({
            "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": "loja-1", "message": "Olá!",
            "mediaUrl": "https://x.example/a.png",
        }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let message = app.message(&answer.message_id()).await;
    assert_eq!(
        receiver.only().json(),
        json!({
            "type": "message", "timestamp": message["createdAt"],
            "data": {
                "messageId": answer.message_id(), "remoteJid": "loja-1", "message": "Olá!",
                "mediaUrl": "https://x.example/a.png", "mediaType": "image",
            },
        })
    );
}

async fn a_webhook_that_fails_is_the_channels_fault_and_one_that_refuses_the_recipients(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let receiver = a_webhook(&app).await;
    let cases = [
        (500, 502, "channel-failed", "transient"),
        (408, 502, "channel-failed", "transient"),
        (429, 502, "channel-failed", "transient"),
        (400, 422, "recipient-refused", "permanent"),
        (410, 422, "recipient-refused", "permanent"),
        (302, 422, "recipient-refused", "permanent"),
    ];
    for (number, (told, status, problem, outcome)) in cases.into_iter().enumerate() {
        receiver.next(Answer::new(told, "no").with("location", "/elsewhere"));
        let answer = app.send(&to_webhook(&json!({ "n": told }))).await;
        assert_failed(&app, &answer, status, problem).await;
        let attempt = app.message(&answer.message_id()).await["attempts"][0].clone();
        assert_eq!((&attempt["httpStatus"], &attempt["outcome"]), (&json!(told), &json!(outcome)), "{attempt}");
        assert_eq!(receiver.received().len(), number + 1, "tried once, and no redirect followed");
    }
    drop(receiver);
    let answer = app.send(&to_webhook(&json!(null))).await;
    assert_eq!(answer.paths(), ["/message"], "a payload of null is none");
    let answer = app.send(&to_webhook(&json!([1]))).await;
    assert_failed(&app, &answer, 502, "channel-failed").await;
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

async fn whatsapp_gets_texts_and_media_of_each_type(database: TestDatabase) {
    let app = TestApp::start(database).await;
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
        let answer = app.send(&to_whatsapp(more)).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(answer.data()["channelMessageId"], "3EB0A1");
        let request = evolution.only();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", path));
        assert_eq!(request.header("apikey"), Some("the-key-of-evolution"));
        let body = request.json();
        assert_eq!(body["number"], "5585999999999");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&body[name], value, "{body}");
        }
        assert_eq!(app.sql_message(&answer.message_id()).await["channel_message_id"], "3EB0A1");
    }
}

async fn whatsapp_failures_are_told_apart(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let evolution = a_whatsapp(&app).await;
    let said = |status: u16, message: Value| {
        Answer::json(status, &json!({ "status": status, "error": "x", "response": { "message": message } }))
    };
    let not_there = json!([{ "jid": "5585999999999@s.whatsapp.net", "exists": false, "number": "5585999999999" }]);
    let cases = [
        (said(401, json!("Unauthorized")), 502, "channel-failed"),
        (said(404, json!(["The \"loja\" instance does not exist"])), 502, "channel-failed"),
        (said(400, json!(["Error: Connection Closed"])), 502, "channel-failed"),
        (said(500, json!("Connection Closed")), 502, "channel-failed"),
        (Answer::Close, 502, "channel-failed"),
        (said(400, not_there), 422, "recipient-refused"),
    ];
    for (told, status, problem) in cases {
        evolution.next(told);
        let answer = app.send(&to_whatsapp(json!({ "message": "Olá!" }))).await;
        let row = assert_failed(&app, &answer, status, problem).await;
        assert!(!row.to_string().contains("the-key-of-evolution"));
    }
}
