//! Each change is told, once it is committed, in order a message, whatever happens on its way.

use serde_json::{Value, json};

use super::{PATH, path_of, signed_by, subscribes};
use crate::support::caller::{Caller, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver, ReceivedRequest};
use crate::support::installation::Installation;
use crate::support::meta::{ACCESS_TOKEN, FakeMeta, change, post_signed, report, status};
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    what_tells_is_listed_for_its_purpose_and_counted_for_none,
    a_subscription_whose_instance_was_deleted_by_hand_is_told_all_the_same,
    a_message_that_is_gone_keeps_no_other_from_being_told;
    on_every_installation:
    a_subscriber_hears_each_state_in_order_though_its_first_answer_is_a_failure,
    what_was_not_told_when_the_process_was_killed_is_told_afterwards;
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NUMBER: &str = "106540352242922";

/// The types that were told of this message, in the order in which they came, each once.
fn heard(receiver: &HttpReceiver, id: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut heard = Vec::new();
    for request in receiver.received() {
        let (body, webhook) = (request.json(), request.header("webhook-id").unwrap().to_owned());
        if body["data"]["id"] == id && !seen.contains(&webhook) {
            seen.push(webhook);
            heard.push(body["type"].as_str().unwrap().to_owned());
        }
    }
    heard
}

async fn hears(receiver: &HttpReceiver, id: &str, types: &[&str]) {
    eventually(SOON, &format!("{types:?} of {id}"), async || (heard(receiver, id) == types).then_some(())).await;
}

/// Without its tries.
async fn shown(caller: &Caller, id: &str) -> Value {
    let mut message = caller.message(id).await;
    message.as_object_mut().unwrap().remove("attempts");
    message
}

async fn a_subscriber_hears_each_state_in_order_though_its_first_answer_is_a_failure(installation: Installation) {
    let app = TestApp::start_with(installation, &[("RETRY_BACKOFF", "100ms")]).await;
    let (meta, receiver) = (FakeMeta::start().await, HttpReceiver::start().await);
    app.create_instance(&json!({
        "channel": "whatsapp_oficial", "channelInstanceId": "loja", "channelPhoneOrId": NUMBER,
        "credentials": {"accessToken": ACCESS_TOKEN, "appSecret": "s", "verifyToken": "t", "baseUrl": meta.base_url},
    }))
    .await;
    subscribes(&app, &json!({"url": receiver.url("/estados"), "secret": SECRET})).await;
    // Also one that refuses is asked again.
    for refusal in [500, 503, 404] {
        receiver.next(Answer::new(refusal, "away"));
    }
    let body = json!({
        "channel": "whatsapp_oficial", "channelInstanceId": "loja", "remoteJid": "5585999999999", "message": "Olá!"
    });
    let sent = app.sent(&body).await;
    let (id, name) = (sent["id"].as_str().unwrap(), sent["channelMessageId"].as_str().unwrap());
    for said in ["delivered", "read"] {
        assert_eq!(post_signed(&app, "loja", "s", &report(&[&[change(NUMBER, &[status(name, said)])]])).await, 200);
    }
    hears(&receiver, id, &["message.sent", "message.delivered", "message.read"]).await;
    let requests = receiver.received();
    assert_eq!(requests.len(), 6, "four tries of the first, and one of each other");
    let first: Vec<&ReceivedRequest> = requests.iter().filter(|it| it.json()["type"] == "message.sent").collect();
    assert_eq!(first.len(), 4);
    assert!(
        first.iter().all(|it| it.body == first[0].body && it.header("webhook-id") == first[0].header("webhook-id"))
    );
    for request in &requests {
        assert_eq!(signed_by(request, &[SECRET]), [0]);
    }
    let told = requests.last().unwrap().json();
    let read = shown(&app, id).await;
    assert_eq!(told, json!({"type": "message.read", "timestamp": read["updatedAt"], "data": read}));
    let told = first[0].json();
    assert_eq!((&told["data"]["status"], &told["data"]["deliveredAt"]), (&json!("sent"), &Value::Null));

    let failed = app
        .bring_to_its_end(&json!({
            "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "fail-permanent", "message": "Olá!"
        }))
        .await;
    hears(&receiver, &failed, &["message.failed"]).await;
}

async fn what_was_not_told_when_the_process_was_killed_is_told_afterwards(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("RETRY_BACKOFF", "200ms"), ("NODE_TIMEOUT", "3s")]).await;
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(503, "away"));
    subscribes(&app, &json!({"url": receiver.url("/")})).await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(app.bring_to_its_end(&to_sandbox(&format!("55{number}"))).await);
        if number == 4 {
            app.kill9();
            app.restart().await;
        }
    }
    app.kill9();
    receiver.always(Answer::new(200, ""));
    app.restart().await;
    for id in &ids {
        hears(&receiver, id, &["message.sent"]).await;
    }
}

async fn what_tells_is_listed_for_its_purpose_and_counted_for_none(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = HttpReceiver::start().await;
    let subscription = subscribes(&app, &json!({"url": receiver.url("/")})).await;
    let id = app.bring_to_its_end(&to_sandbox("5585")).await;
    hears(&receiver, &id, &["message.sent"]).await;
    let list = async |query: &str| app.get(&format!("/api/messaging/messages{query}")).await.json()["data"].clone();
    let told = eventually(SOON, "it is listed as sent", async || {
        let told = list("?channel=webhook&purpose=status&status=sent").await;
        told.get(0).cloned()
    })
    .await;
    assert_eq!((&told["purpose"], &told["remoteJid"]), (&json!("status"), &json!(id)));
    assert_eq!(told["channelInstanceId"], format!("status:{}", subscription["id"].as_str().unwrap()));
    assert_eq!(told["payload"]["type"], "message.sent");
    assert_eq!(list("").await.as_array().unwrap().len(), 1);
    assert_eq!(list("?channel=webhook").await, json!([]));
    assert_eq!(list("?purpose=status").await.as_array().unwrap().len(), 1);
    for (query, sent) in [("", 1), ("?purpose=status", 1), ("?channel=webhook", 0)] {
        let stats = app.get(&format!("/api/messaging/messages/stats{query}")).await.data();
        assert_eq!((&stats["sent"], &stats["total"]), (&json!(sent), &json!(sent)), "{query}");
    }
    let counted = app.sql("select status, count from messaging_status_counts").await;
    assert_eq!(counted, [json!({"status": "sent", "count": 1})]);
    let instances = app.get("/api/messaging/instances").await.data();
    assert!(instances.as_array().unwrap().iter().all(|it| it["channel"] == "sandbox"), "{instances}");
    let hidden = format!("/api/messaging/instances/{}", subscription["id"].as_str().unwrap());
    assert_eq!(app.get(&hidden).await.status, 404);
    let through = json!({
        "channel": "webhook", "channelInstanceId": told["channelInstanceId"], "remoteJid": "x", "message": "Olá!"
    });
    assert_eq!(app.send(&through).await.status, 404);
    let named = json!({
        "channel": "webhook", "channelInstanceId": told["channelInstanceId"], "channelPhoneOrId": receiver.url("/")
    });
    assert_eq!(app.post("/api/messaging/instances", &named).await.status, 422);
    assert_eq!(app.delete(&path_of(&subscription)).await.status, 204);
    let after = app.bring_to_its_end(&to_sandbox("5586")).await;
    assert_eq!(app.get(PATH).await.data(), json!([]));
    assert_eq!(app.sql_number("select count(*) from messaging_status_changes").await, 0, "{after} is told to nobody");
    assert_eq!(app.sql_number("select count(*) from messaging_status_tellings").await, 0);
}

async fn a_subscription_whose_instance_was_deleted_by_hand_is_told_all_the_same(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = HttpReceiver::start().await;
    subscribes(&app, &json!({"url": receiver.url("/")})).await;
    app.sql("delete from messaging_instances where purpose = 'status'").await;
    let id = app.bring_to_its_end(&to_sandbox("5585")).await;
    hears(&receiver, &id, &["message.sent"]).await;
}

async fn a_message_that_is_gone_keeps_no_other_from_being_told(installation: Installation) {
    let app = TestApp::start_with(installation, &[("RETRY_BACKOFF", "100ms")]).await;
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(503, "away"));
    subscribes(&app, &json!({"url": receiver.url("/")})).await;
    let gone = app.bring_to_its_end(&to_sandbox("5585")).await;
    eventually(SOON, "it is being told", async || (receiver.how_many() > 0).then_some(())).await;
    // Waits for what is being told, and then its message is not there.
    let noted = "insert into messaging_status_changes (message_id, then_status, then_retries, then_updated_at)
                 select id, 'delivered', 1, updated_at from messaging_messages where id = ";
    app.sql(&format!("{noted}'{gone}'")).await;
    app.sql(&format!("delete from messaging_messages where id = '{gone}'")).await;
    receiver.always(Answer::new(200, ""));
    let id = app.bring_to_its_end(&to_sandbox("5586")).await;
    hears(&receiver, &id, &["message.sent"]).await;
    hears(&receiver, &gone, &["message.sent"]).await;
    eventually(SOON, "nothing is left", async || {
        let left =
            "select (select count(*) from messaging_status_changes) + (select count(*) from messaging_status_tellings)";
        (app.sql_number(left).await == 0).then_some(())
    })
    .await;
}
