//! One message to a synced group, one to each member of another.

use serde_json::{Value, json};

use super::keeping::{GROUPS, new_group, sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_bad_message_to_a_group_is_refused_before_anything_is_sent;
    on_every_queue:
    each_member_of_a_group_gets_one_message,
    a_message_names_a_group_in_the_place_of_a_recipient,
    a_request_with_a_key_is_sent_once_to_each_member;
);

async fn with_members(app: &TestApp, instance: &str, members: &[&str]) -> String {
    let group = new_group(app, instance, "Clientes").await;
    let members: Vec<Value> =
        members.iter().map(|member| json!({ "identifier": member, "identifierType": "id" })).collect();
    let added = app.post(&format!("{group}/members:batch"), &json!(members)).await;
    assert_eq!((added.status, &added.json()["refused"]), (200, &json!([])));
    group
}

/// How many messages of a group are in this state.
async fn count(app: &TestApp, group: &str, status: &str) -> i64 {
    let id = group.rsplit('/').next().unwrap();
    let query = format!("select count(*) from messaging_messages where group_id = '{id}' and status = '{status}'");
    app.sql_number(&query).await
}

async fn become_so(app: &TestApp, group: &str, status: &str, expected: i64) {
    eventually(SOON, status, async || (count(app, group, status).await == expected).then_some(())).await;
}

async fn each_member_of_a_group_gets_one_message(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    let group = with_members(&app, &instance, &["1", "2", "3", "fail-permanent-a"]).await;
    let answer = app.post(&format!("{group}/send"), &json!({ "message": "Olá!" })).await;
    let body = answer.json();
    if app.waits() {
        assert_eq!(
            (answer.status, &body["total"], &body["sent"], &body["failed"]),
            (200, &json!(4), &json!(3), &json!(1))
        );
        assert_eq!(body["errors"][0]["identifier"], "fail-permanent-a", "{body}");
        assert!(body["errors"][0]["error"].is_string() && body["success"].is_null(), "{body}");
    } else {
        assert_eq!((answer.status, &body["total"], &body["queued"]), (202, &json!(4), &json!(true)));
    }
    become_so(&app, &group, "sent", 3).await;
    become_so(&app, &group, "failed", 1).await;
    let messages = app.get("/api/messaging/messages?status=sent").await.data();
    assert_eq!(messages[0]["groupId"], group.rsplit('/').next().unwrap());
    let empty = new_group(&app, &instance, "Ninguém").await;
    let nobody = app.post(&format!("{empty}/send"), &json!({ "message": "Olá!" })).await;
    assert_eq!((nobody.status / 100, &nobody.json()["total"]), (2, &json!(0)));
}

async fn a_message_names_a_group_in_the_place_of_a_recipient(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    let group = with_members(&app, &instance, &["1", "2"]).await;
    let id = group.rsplit('/').next().unwrap();
    let body = json!({ "channel": "sandbox", "channelInstanceId": "loja", "groupId": id, "message": "Olá!" });
    let answer = app.send(&body).await;
    let told = answer.json();
    assert_eq!((&told["success"], &told["message"]), (&json!(true), &json!("Mensagem enviada para o grupo")));
    assert_eq!((answer.status, &told["data"]["total"]), (if app.waits() { 200 } else { 202 }, &json!(2)), "{told}");
    become_so(&app, &group, "sent", 2).await;
    let elsewhere = json!({ "channel": "sandbox", "channelInstanceId": "sandbox", "groupId": id, "message": "Olá!" });
    assert_eq!(app.send(&elsewhere).await.paths(), ["/groupId"]);
    let both =
        json!({ "channel": "sandbox", "channelInstanceId": "loja", "groupId": id, "remoteJid": "1", "message": "a" });
    assert_eq!(app.send(&both).await.paths(), ["/groupId"]);
    let unknown = json!({ "channel": "sandbox", "channelInstanceId": "loja", "groupId": "x", "message": "Olá!" });
    assert_eq!(app.send(&unknown).await.problem(), "unknown-group");
}

async fn a_request_with_a_key_is_sent_once_to_each_member(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    let group = with_members(&app, &instance, &["1", "2", "3"]).await;
    let id = group.rsplit('/').next().unwrap();
    let body = json!({ "channel": "sandbox", "channelInstanceId": "loja", "groupId": id, "message": "Olá!" });
    for replay in [None, Some("true")] {
        let answer = app.send_once("campanha", &body).await;
        assert_eq!((answer.status / 100, &answer.data()["total"]), (2, &json!(3)), "{}", answer.json());
        assert_eq!(answer.header("idempotent-replay"), replay);
        become_so(&app, &group, "sent", 3).await;
    }
    let mut other = body.clone();
    other["message"] = json!("Tchau!");
    assert_eq!(app.send_once("campanha", &other).await.problem(), "key-reused");
    let to_one = json!({ "channel": "sandbox", "channelInstanceId": "loja", "remoteJid": "1", "message": "Olá!" });
    assert_eq!(app.send_once("campanha", &to_one).await.problem(), "key-reused", "it is of a broadcast");
    assert_eq!(app.send_once("uma", &to_one).await.status / 100, 2);
    assert_eq!(app.send_once("uma", &body).await.problem(), "key-reused", "it is of a message");
    // The answer holds when the group is gone.
    assert_eq!(app.delete(&group).await.status, 204);
    let again = app.send_once("campanha", &body).await;
    assert_eq!((again.status / 100, again.header("idempotent-replay")), (2, Some("true")), "{}", again.json());
    assert_eq!(count(&app, &group, "sent").await, 3);
}

async fn a_bad_message_to_a_group_is_refused_before_anything_is_sent(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    let group = with_members(&app, &instance, &["1", "2"]).await;
    let send = format!("{group}/send");
    for body in [json!({}), json!({ "message": "" }), json!({ "message": null })] {
        let refused = app.post(&send, &body).await;
        assert_eq!(refused.paths(), ["/message"]);
        assert_eq!(refused.json()["error"], "message é obrigatório");
    }
    let bad = json!({ "message": "Olá!", "mediaType": "image", "priority": 10, "mensagem": 1 });
    assert_eq!(app.post(&send, &bad).await.paths(), ["/mediaUrl", "/mensagem", "/priority"]);
    let far = json!({ "message": "Olá!", "sendAt": "2200-01-01T00:00:00Z" });
    assert_eq!(app.post(&send, &far).await.paths(), ["/sendAt"]);
    let template = json!({ "message": "Olá!", "template": { "name": "x" } });
    assert_eq!(app.post(&send, &template).await.paths(), ["/template"]);
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 0);
    let unknown = app.post(&format!("{GROUPS}/x/send"), &json!({ "message": "Olá!" })).await;
    assert_eq!(unknown.problem(), "unknown-group");
}
