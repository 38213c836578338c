//! What is written to an instance, from its provider's report to the list of messages.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::eventually::{SOON, eventually};
use crate::support::evolution::{FakeEvolution, GLOBAL_KEY};
use crate::support::free_port::free_port;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    what_is_written_to_an_instance_is_listed,
    what_is_reported_again_or_in_another_order_is_stored_once,
    a_burst_is_stored_whole,
    what_was_received_can_be_neither_retried_nor_cancelled_and_counts_apart,
    what_we_have_sent_is_not_listed_twice;
);

const INSTANCES: &str = "/api/messaging/instance";
const MESSAGES: &str = "/api/messaging/messages";

/// An installation with an instance that is connected.
async fn connected(installation: Installation) -> (TestApp, FakeEvolution) {
    let port = free_port().to_string();
    let public_url = format!("http://127.0.0.1:{port}");
    let app = TestApp::start_with(installation, &[("PORT", &port), ("PUBLIC_URL", &public_url)]).await;
    let evolution = FakeEvolution::start().await;
    let instance = json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
        "credentials": { "url": evolution.base_url, "apiToken": GLOBAL_KEY },
    });
    let created = app.post(INSTANCES, &instance).await;
    assert_eq!(created.status, 201, "{}", created.json());
    evolution.becomes("loja", "open");
    assert_eq!(evolution.report("loja", "connection.update", json!({"state": "open"})).await, 200);
    (app, evolution)
}

fn written(key: Value, message: Value) -> Value {
    json!({"key": key, "pushName": "Maria", "status": "DELIVERY_ACK", "message": message, "messageType": "conversation",
           "messageTimestamp": chrono::Utc::now().timestamp() - 3, "instanceId": "uuid", "source": "android"})
}

fn from(id: &str) -> Value {
    json!({"remoteJid": "123@lid", "remoteJidAlt": "5585999999999@s.whatsapp.net", "fromMe": false, "id": id, "participant": ""})
}

async fn listed(app: &TestApp, query: &str) -> Vec<Value> {
    let answer = app.get(&format!("{MESSAGES}?limit=250{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.data().as_array().unwrap().clone()
}

async fn reported(evolution: &FakeEvolution, data: Value) {
    assert_eq!(evolution.report("loja", "messages.upsert", data).await, 200);
}

async fn what_is_written_to_an_instance_is_listed(installation: Installation) {
    let (app, evolution) = connected(installation).await;
    let image = json!({"imageMessage": {"url": "https://mmg.whatsapp.net/v/1.enc", "mimetype": "image/jpeg", "caption": "olha",
                       "contextInfo": {"stanzaId": "3EB0Q"}}, "base64": "/9j/4AAQSkZJRg=="});
    reported(&evolution, written(from("A1"), image)).await;
    let [message] = &listed(&app, "").await[..] else { panic!("one message") };
    for (member, expected) in [
        ("direction", json!("received")),
        ("status", json!("delivered")),
        ("remoteJid", json!("5585999999999")),
        ("channel", json!("whatsapp_evolution")),
        ("channelInstanceId", json!("loja")),
        ("channelMessageId", json!("A1")),
        ("message", json!("olha")),
        ("mediaUrl", json!("https://mmg.whatsapp.net/v/1.enc")),
        ("mediaType", json!("image")),
        ("error", json!(null)),
        ("nextAttemptAt", json!(null)),
        ("retries", json!(0)),
    ] {
        assert_eq!(message[member], expected, "{member}: {message}");
    }
    let payload = json!({
        "type": "imageMessage",
        "sender": {"address": "5585999999999", "alias": "123@lid", "name": "Maria"},
        "media": {"type": "image", "url": "https://mmg.whatsapp.net/v/1.enc", "mimetype": "image/jpeg"},
        "quotedId": "3EB0Q",
    });
    assert_eq!(message["payload"], payload);
    assert!(message["sentAt"].as_str() < message["createdAt"].as_str(), "{message}");
    let one = app.message(message["id"].as_str().unwrap()).await;
    assert_eq!(one["attempts"], json!([]));

    let group = json!({"remoteJid": "120363000000000000@g.us", "participant": "9@lid",
                       "participantAlt": "5511977777777@s.whatsapp.net", "fromMe": false, "id": "A2"});
    reported(&evolution, written(group, json!({"conversation": "bom dia"}))).await;
    // 1.8: several at once, with texts for times.
    let v1 = json!({"key": {"remoteJid": "5511966666666@s.whatsapp.net", "fromMe": false, "id": "A3"}, "owner": "loja",
                    "message": {"extendedTextMessage": {"text": "oi"}}, "messageTimestamp": "1760000000"});
    reported(&evolution, json!([v1])).await;
    let chats: Vec<Value> =
        listed(&app, "&direction=received").await.iter().map(|it| it["remoteJid"].clone()).collect();
    assert_eq!(chats, [json!("5511966666666"), json!("120363000000000000@g.us"), json!("5585999999999")]);
    let of_group = listed(&app, "&direction=received&remoteJid=120363000000000000@g.us").await;
    assert_eq!(of_group[0]["payload"]["sender"]["address"], "5511977777777");
    assert_eq!(listed(&app, "&direction=sent").await, Vec::<Value>::new());
    let refused = app.get(&format!("{MESSAGES}?direction=both")).await;
    assert_eq!((refused.status, refused.paths()), (422, vec!["/direction".to_owned()]));

    reported(
        &evolution,
        written(json!({"remoteJid": "status@broadcast", "fromMe": false, "id": "A4"}), json!({"conversation": "x"})),
    )
    .await;
    reported(&evolution, written(from("A5"), json!({"protocolMessage": {"type": "REVOKE"}}))).await;
    assert_eq!(listed(&app, "").await.len(), 3);
}

async fn what_is_reported_again_or_in_another_order_is_stored_once(installation: Installation) {
    let (app, evolution) = connected(installation).await;
    let message = |name: &str| written(from(name), json!({"conversation": name}));
    // A provider repeats what it has no answer to, and lets events overtake each other.
    for name in ["A2", "A1", "A2", "A3", "A1", "A1"] {
        reported(&evolution, message(name)).await;
    }
    join_all((0..8).map(|_| reported(&evolution, message("A4")))).await;
    let names: Vec<Value> = listed(&app, "").await.iter().map(|it| it["message"].clone()).collect();
    assert_eq!(names, ["A4", "A3", "A1", "A2"]);
}

async fn a_burst_is_stored_whole(installation: Installation) {
    let (app, evolution) = connected(installation).await;
    let report = |number: usize| {
        let message = written(from(&format!("A{number:03}")), json!({"conversation": number.to_string()}));
        reported(&evolution, message)
    };
    for part in 0..5 {
        join_all((0..100).map(|number| report(100 * part + number))).await;
    }
    assert_eq!(app.sql_number("select count(*) from messaging_messages where direction = 'received'").await, 500);
    assert_eq!(app.sql_number("select count(distinct message) from messaging_messages").await, 500);
}

async fn what_was_received_can_be_neither_retried_nor_cancelled_and_counts_apart(installation: Installation) {
    let (app, evolution) = connected(installation).await;
    reported(&evolution, written(from("A1"), json!({"conversation": "oi"}))).await;
    let id = listed(&app, "").await[0]["id"].as_str().unwrap().to_owned();
    for action in ["retry", "cancel"] {
        assert_eq!(app.post(&format!("{MESSAGES}/{id}/{action}"), &json!({})).await.status, 409, "{action}");
    }
    let total = async |query: &str| app.get(&format!("{MESSAGES}/stats{query}")).await.data()["total"].clone();
    assert_eq!((total("").await, total("?direction=received").await), (json!(0), json!(1)));
    assert_eq!((total("?channelInstanceId=loja").await, total("?direction=sent").await), (json!(0), json!(0)));
    assert_eq!(app.sql("select * from messaging_status_counts").await, Vec::<Value>::new());
}

/// By the person behind the phone only what has an id that phones give is known at once.
async fn what_we_have_sent_is_not_listed_twice(installation: Installation) {
    let (app, evolution) = connected(installation).await;
    let body = json!({"channel": "whatsapp_evolution", "channelInstanceId": "loja", "remoteJid": "5585999999999", "message": "Olá!"});
    let ours = app.sent(&body).await;
    let own = |id: &str| {
        let key = json!({"remoteJid": "5585999999999@s.whatsapp.net", "fromMe": true, "id": id});
        written(key, json!({"conversation": "Olá!"}))
    };
    reported(&evolution, own(ours["channelMessageId"].as_str().unwrap())).await;
    reported(&evolution, own("3A0000000000000000FF")).await;
    let [phone, sent] = &listed(&app, "").await[..] else { panic!("two messages") };
    assert_eq!(sent["id"], ours["id"]);
    let seen = ["direction", "status", "channelMessageId", "retries"].map(|member| phone[member].clone());
    assert_eq!(seen, [json!("sent"), json!("sent"), json!("3A0000000000000000FF"), json!(0)]);
    assert_eq!(phone["payload"], json!({"type": "conversation", "fromPhone": true}));

    let read = json!({"keyId": "3A0000000000000000FF", "remoteJid": "123@lid", "fromMe": true, "status": "READ"});
    assert_eq!(evolution.report("loja", "messages.update", read).await, 200);
    let id = phone["id"].as_str().unwrap();
    eventually(SOON, "it is read", async || (app.message(id).await["status"] == "read").then_some(())).await;

    // What may be ours waits on disk.
    reported(&evolution, own("3EB0C767D26A1B6C5E3F2A")).await;
    assert_eq!(listed(&app, "").await.len(), 2);
    assert_eq!(app.sql_number("select count(*) from messaging_undecided_messages").await, 1);
}
