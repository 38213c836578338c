//! WhatsApp through Meta's Cloud API.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::caller::{Caller, REFUSED};
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::meta::{ACCESS_TOKEN, FakeMeta, wamid};
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_cannot_be_sent_so_is_refused_with_its_path,
    a_name_that_apps_report_to_is_no_instances;
    in_both_modes:
    a_refusal_is_told_in_words;
    on_every_installation:
    a_text_a_medium_and_a_template_are_sent,
    an_answer_that_was_lost_leaves_our_own_id,
    an_instance_that_metas_error_puts_off_is_back_after_a_patch;
    in_kafka_mode:
    a_rate_makes_messages_wait_and_spends_no_try;
);

const NUMBER: &str = "106540352242922";
const APP_SECRET: &str = "5e1f0c3a9b7d4e2f8a6c1b3d5e7f9a0b";
const VERIFY_TOKEN: &str = "a-token-of-the-stories";

fn credentials(meta: &FakeMeta) -> Value {
    json!({
        "accessToken": ACCESS_TOKEN, "appSecret": APP_SECRET, "verifyToken": VERIFY_TOKEN, "baseUrl": meta.base_url,
    })
}

fn instance(meta: &FakeMeta) -> Value {
    json!({
        "channel": "whatsapp_oficial", "channelInstanceId": "loja", "channelPhoneOrId": NUMBER,
        "credentials": credentials(meta),
    })
}

fn to(recipient: &str) -> Value {
    json!({ "channel": "whatsapp_oficial", "channelInstanceId": "loja", "remoteJid": recipient })
}

fn text() -> Value {
    with(to("5585999999999"), "message", json!("Olá!"))
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

async fn is_put_off(caller: &Caller, id: &str) -> Value {
    eventually(SOON, "it is put off", async || {
        let message = caller.message(id).await;
        (message["status"] == "queued" && message["nextAttemptAt"].is_string()).then_some(message)
    })
    .await
}

async fn is_sent(caller: &Caller, id: &str) -> Value {
    eventually(SOON, "it is sent", async || {
        let message = caller.message(id).await;
        (message["status"] == "sent").then_some(message)
    })
    .await
}

async fn a_text_a_medium_and_a_template_are_sent(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    let created = app.post("/api/messaging/instance", &instance(&meta)).await;
    assert_eq!((created.status, &created.data()["status"]), (201, &json!("connected")), "{}", created.json());

    let url = "https://x.example/pedido.pdf";
    let template = json!({"name": "pedido", "language": {"code": "pt_BR"}, "components": [
        {"type": "body", "parameters": [{"type": "text", "text": "José"}]},
    ]});
    let document = with(with(text(), "mediaUrl", json!(url)), "mediaType", json!("document"));
    let soon = (Utc::now() + TimeDelta::seconds(1)).to_rfc3339();
    let bodies = [
        (text(), "text", json!({"body": "Olá!", "preview_url": false})),
        (document, "document", json!({"link": url, "caption": "Olá!", "filename": "pedido.pdf"})),
        (with(to("+55 85 99999-9999"), "template", template.clone()), "template", template.clone()),
        (with(with(to("BR.1349"), "template", template.clone()), "sendAt", json!(soon)), "template", template.clone()),
    ];
    for (nth, (body, kind, expected)) in bodies.into_iter().enumerate() {
        let id = app.send(&body).await.message_id();
        let message = is_sent(&app, &id).await;
        assert_eq!((&message["channelMessageId"], &message["retries"]), (&json!(wamid(NUMBER, nth + 1)), &json!(1)));
        assert_eq!(message["template"], if kind == "template" { template.clone() } else { json!(null) });
        let sent = meta.sent(NUMBER).remove(nth);
        let to = if sent["recipient"] == "BR.1349" { json!(null) } else { json!("5585999999999") };
        let expected = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "recipient": sent["recipient"],
            "type": kind, kind: expected, "biz_opaque_callback_data": id,
        });
        let mut shown = sent.clone();
        shown["to"] = sent["to"].clone();
        shown["recipient"] = sent["recipient"].clone();
        assert_eq!(shown, expected);
    }
    let listed = app.get("/api/messaging/messages?channel=whatsapp_oficial").await.data();
    let templates = listed.as_array().unwrap().iter().filter(|message| message["template"]["name"] == "pedido");
    assert_eq!(templates.count(), 2);
    assert_eq!(app.sql_number("select count(*) from messaging_messages where template is not null").await, 2);

    let shown = app.get("/api/messaging/instances").await;
    let all = [String::from_utf8(shown.body).unwrap(), app.log().join("\n"), created.json().to_string()].concat();
    for secret in [ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN] {
        assert!(!all.contains(secret), "{secret}");
    }
}

async fn what_cannot_be_sent_so_is_refused_with_its_path(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta)).await;
    let template = json!({"name": "oi", "language": {"code": "pt_BR"}});
    let sandbox = json!({ "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "x", "message": "Olá!" });
    let templated = with(to("5585999999999"), "template", template.clone());
    let cases = [
        (with(text(), "payload", json!({"type": "reaction"})), vec!["/payload"]),
        (with(to("5585999999999"), "payload", json!({})), vec!["/payload"]),
        (with(text(), "template", json!("oi")), vec!["/template"]),
        (with(templated.clone(), "mediaUrl", json!("https://x.example/a.png")), vec!["/mediaUrl"]),
        (with(templated, "remoteJid", json!("fulano")), vec!["/remoteJid"]),
        (with(text(), "message", json!(" ")), vec!["/message"]),
        (to("5585999999999"), vec!["/message"]),
        (with(sandbox, "template", template), vec!["/template"]),
    ];
    for (body, paths) in cases {
        assert_eq!(app.send(&body).await.paths(), paths, "{body}");
    }
    assert_eq!(meta.calls(), 0);

    let bad = json!({
        "channel": "whatsapp_oficial", "channelInstanceId": "outra", "channelPhoneOrId": "+5585988888888",
        "credentials": {"accessToken": ACCESS_TOKEN, "appSecret": APP_SECRET, "version": "26", "apiKey": "x"},
    });
    let paths = ["/channelPhoneOrId", "/credentials/apiKey", "/credentials/verifyToken", "/credentials/version"];
    assert_eq!(app.post("/api/messaging/instances", &bad).await.paths(), paths);
}

async fn a_name_that_apps_report_to_is_no_instances(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    let sandbox = json!({ "channel": "sandbox", "channelInstanceId": "meta", "channelPhoneOrId": "x" });
    for body in [with(instance(&meta), "channelInstanceId", json!("meta")), sandbox.clone()] {
        assert_eq!(app.post("/api/messaging/instances", &body).await.paths(), ["/channelInstanceId"]);
    }
    app.create_instance(&with(sandbox, "channelInstanceId", json!("metal"))).await;
}

async fn a_refusal_is_told_in_words(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta)).await;
    meta.fails(Some((400, 131_047)));
    let failed = app.fails(&text(), REFUSED).await;
    assert_eq!(
        failed["error"],
        "Meta's error 131047: (#131047) It is refused: It is refused for a reason. Its 24 hours are over: only a template \
         reaches this recipient."
    );
    assert_eq!(failed["attempts"][0]["httpStatus"], 400);
}

async fn an_answer_that_was_lost_leaves_our_own_id(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta)).await;
    meta.loses_answers(true);
    let id = app.send(&text()).await.message_id();
    let failed = app.ended(&id).await;
    assert_eq!((&failed["status"], &failed["retries"]), (&json!("failed"), &json!(1)), "{failed}");
    assert_eq!(failed["attempts"][0]["outcome"], "unknown");
    assert!(failed["error"].as_str().unwrap().ends_with("It may have been delivered."), "{failed}");
    assert_eq!(failed["channelMessageId"], json!(id));
    assert_eq!(meta.sent(NUMBER).len(), 1, "not a second time");
    let lookups = format!("select count(*) from messaging_channel_messages where channel_message_id = '{id}'");
    assert_eq!(app.sql_number(&lookups).await, 1);
}

async fn an_instance_that_metas_error_puts_off_is_back_after_a_patch(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    let mut stale = instance(&meta);
    stale["credentials"]["accessToken"] = json!("EAAGexpired");
    let instance_id = app.create_instance(&stale).await;
    let answer = app.send(&text()).await;
    let patch = async || {
        let change = json!({ "credentials": credentials(&meta) });
        app.patch(&format!("/api/messaging/instances/{instance_id}"), &change).await.status
    };
    if app.waits() {
        assert_eq!((answer.status, answer.problem()), (502, "channel-failed".to_owned()));
        assert!(answer.json()["error"].as_str().unwrap().starts_with("Meta's error 190"), "{}", answer.json());
        assert_eq!(patch().await, 200);
        app.sent(&text()).await;
        return;
    }
    let first = answer.message_id();
    let message = is_put_off(&app, &first).await;
    let reason = "Meta's error 190: (#190) It is refused: It is refused for a reason. The instance needs another access token, \
                  or more rights for it.";
    assert_eq!((&message["error"], &message["retries"]), (&json!(reason), &json!(0)), "no try was spent");
    let second = app.send(&text()).await.message_id();
    is_put_off(&app, &second).await;
    assert_eq!(meta.calls(), 1, "one message finds out, and the others wait");

    assert_eq!(patch().await, 200);
    for id in [first, second] {
        assert_eq!(is_sent(&app, &id).await["retries"], 1);
    }
}

async fn a_rate_makes_messages_wait_and_spends_no_try(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta)).await;
    meta.fails(Some((400, 130_429)));
    let id = app.send(&text()).await.message_id();
    let message = is_put_off(&app, &id).await;
    assert!(message["error"].as_str().unwrap().starts_with("Meta's error 130429"), "{message}");
    meta.fails(None);
    assert_eq!(is_sent(&app, &id).await["retries"], 1);
}
