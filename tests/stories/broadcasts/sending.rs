//! One content for many recipients, watched and stopped.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_bad_broadcast_is_refused_with_what_is_wrong;
    on_both_databases:
    one_tenants_broadcasts_are_not_there_for_another,
    a_broadcast_waits_for_its_time_and_is_cancelled_before;
    on_every_queue:
    each_recipient_gets_one_message_with_what_is_its_own,
    a_cancelled_broadcast_makes_no_more_messages;
    on_every_installation:
    a_broadcast_goes_on_where_its_process_has_died;
);

pub(super) const BROADCASTS: &str = "/api/messaging/broadcasts";

pub(super) fn to(recipients: &[String], text: &str) -> Value {
    json!({ "channel": "sandbox", "channelInstanceId": "sandbox", "recipients": recipients, "message": text })
}

pub(super) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("r{number}")).collect()
}

/// Its path.
pub(super) async fn accepted(app: &TestApp, body: &Value) -> String {
    let answer = app.post(BROADCASTS, body).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    let path = answer.header("location").expect("a place to ask").to_owned();
    assert_eq!(path, format!("{BROADCASTS}/{}", answer.data()["id"].as_str().unwrap()));
    path
}

/// A thousand messages, each with a sync of its own on the slowest disk.
pub(super) const AT_LAST: Duration = Duration::from_secs(90);

async fn becomes(caller: &Caller, path: &str, status: &str) -> Value {
    becomes_within(SOON, caller, path, status).await
}

pub(super) async fn becomes_within(deadline: Duration, caller: &Caller, path: &str, status: &str) -> Value {
    eventually(deadline, status, async || {
        let broadcast = caller.get(path).await.data();
        (broadcast["status"] == status).then_some(broadcast)
    })
    .await
}

async fn post(app: &TestApp, path: &str, verb: &str) -> Answered {
    app.call(app.request(Method::POST, &format!("{path}/{verb}"))).await
}

async fn each_recipient_gets_one_message_with_what_is_its_own(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut recipients = numbered(1_200);
    recipients.extend(["r0".to_owned(), "fail-permanent-a".to_owned(), "nobody".to_owned()]);
    let variables: serde_json::Map<String, Value> = recipients
        .iter()
        .filter(|recipient| *recipient != "nobody")
        .map(|recipient| (recipient.clone(), json!({ "nome": format!("Ana {recipient}"), "pontos": 7 })))
        .collect();
    let mut body = to(&recipients, "Olá, {{nome}}: {{ pontos }}");
    body["variables"] = json!(variables);
    let request = || app.request(Method::POST, BROADCASTS).header("idempotency-key", "campanha").json(&body);
    let answer = app.call(request()).await;
    assert_eq!((answer.status, &answer.data()["total"]), (202, &json!(1_202)), "{}", answer.json());
    let path = answer.header("location").unwrap().to_owned();
    let again = app.call(request()).await;
    assert_eq!((again.status, again.header("idempotent-replay")), (202, Some("true")));
    assert_eq!(again.data()["id"], answer.data()["id"]);
    let other = app.request(Method::POST, BROADCASTS).header("idempotency-key", "campanha").json(&to(&recipients, "x"));
    assert_eq!(app.call(other).await.problem(), "key-reused");

    let broadcast = becomes_within(AT_LAST, &app, &path, "finished").await;
    let counts = json!({ "queued": 0, "processing": 0, "sent": 1_200, "delivered": 0, "read": 0, "failed": 2,
        "cancelled": 0, "waiting": 0 });
    assert_eq!((&broadcast["counts"], broadcast["finishedAt"].is_string()), (&counts, true), "{broadcast}");
    let each = "select count(distinct remote_jid) from messaging_messages where broadcast_id is not null";
    assert_eq!(
        (app.sql_number(each).await, app.sql_number("select count(*) from messaging_messages").await),
        (1_202, 1_202)
    );
    let first = app.get(&format!("{path}/messages?limit=2")).await.json();
    assert_eq!(
        (&first["data"][0]["remoteJid"], &first["data"][0]["message"]),
        (&json!("r0"), &json!("Olá, Ana r0: 7"))
    );
    assert_eq!(first["data"][0]["broadcastId"], broadcast["id"]);
    let cursor = first["nextCursor"].as_str().expect("a cursor");
    let second = app.get(&format!("{path}/messages?limit=2&cursor={cursor}")).await.json();
    assert_eq!(second["data"][0]["remoteJid"], "r2");
    let failed = app.sql("select error from messaging_messages where remote_jid = 'nobody'").await;
    assert_eq!(failed[0]["error"], "The variable nome is missing for this recipient; nothing was sent.");
}

async fn a_cancelled_broadcast_makes_no_more_messages(installation: Installation) {
    let app = TestApp::start_with(installation, &[("BROADCAST_AHEAD", "20"), ("WORKER_CONCURRENCY", "4")]).await;
    let slow: Vec<String> = (0..500).map(|number| format!("slow-300ms-{number}")).collect();
    let path = accepted(&app, &to(&slow, "Olá!")).await;
    eventually(SOON, "some are made", async || {
        (app.get(&path).await.data()["counts"]["waiting"].as_u64().unwrap() < 500).then_some(())
    })
    .await;
    let paused = post(&app, &path, "pause").await;
    assert_eq!((paused.status, &paused.data()["status"]), (200, &json!("paused")));
    assert_eq!(post(&app, &path, "resume").await.data()["status"], "expanding");
    let cancelled = post(&app, &path, "cancel").await;
    if cancelled.status == 503 {
        // The database has just started: what looks queued may be under way.
        assert_eq!(app.get(&path).await.data()["status"], "cancelled");
        return;
    }
    let data = cancelled.data();
    assert_eq!((cancelled.status, &data["status"], &data["counts"]["waiting"]), (200, &json!("cancelled"), &json!(0)));
    assert_eq!(post(&app, &path, "cancel").await.status, 200);
    assert_eq!(post(&app, &path, "resume").await.problem(), "conflict");
    let counts = eventually(SOON, "what is under way ends", async || {
        let counts = app.get(&path).await.data()["counts"].clone();
        (counts["processing"] == 0 && counts["queued"] == 0).then_some(counts)
    })
    .await;
    let (sent, cancelled) = (counts["sent"].as_u64().unwrap(), counts["cancelled"].as_u64().unwrap());
    assert!(sent + cancelled == 500 && cancelled > 400, "{counts}");
}

async fn a_broadcast_waits_for_its_time_and_is_cancelled_before(installation: Installation) {
    let app = TestApp::start(installation).await;
    let at = |seconds| (chrono::Utc::now() + chrono::Duration::seconds(seconds)).to_rfc3339();
    let mut soon = to(&numbered(3), "Olá!");
    soon["sendAt"] = json!(at(2));
    let mut late = to(&numbered(3), "Olá!");
    late["sendAt"] = json!(at(3_600));
    let (soon, late) = (accepted(&app, &soon).await, accepted(&app, &late).await);
    for path in [&soon, &late] {
        let broadcast = app.get(path).await.data();
        assert_eq!((&broadcast["status"], &broadcast["counts"]["waiting"]), (&json!("scheduled"), &json!(3)));
    }
    assert_eq!(post(&app, &late, "cancel").await.data()["counts"]["cancelled"], 3);
    let finished = becomes(&app, &soon, "finished").await;
    assert_eq!(finished["counts"]["sent"], 3);
    let mut far = to(&numbered(1), "Olá!");
    far["sendAt"] = json!("2200-01-01T00:00:00Z");
    assert_eq!(app.post(BROADCASTS, &far).await.paths(), ["/sendAt"]);
}

async fn one_tenants_broadcasts_are_not_there_for_another(installation: Installation) {
    let app = TestApp::start(installation).await;
    let path = accepted(&app, &to(&numbered(1), "Olá!")).await;
    let other = app.holder_of_a_key("globex", &["messages:write", "messages:read"]).await;
    assert_eq!(other.get(&path).await.problem(), "unknown-broadcast");
    assert_eq!(other.get(&format!("{path}/messages")).await.problem(), "unknown-broadcast");
    for verb in ["pause", "resume", "cancel"] {
        let request = other.request(Method::POST, &format!("{path}/{verb}"));
        assert_eq!(other.call(request).await.problem(), "unknown-broadcast");
    }
    assert_eq!(other.post(BROADCASTS, &to(&numbered(1), "Olá!")).await.problem(), "unknown-instance");
    assert_eq!(app.get(&format!("{BROADCASTS}/x")).await.problem(), "unknown-broadcast");
}

async fn a_bad_broadcast_is_refused_with_what_is_wrong(installation: Installation) {
    let app = TestApp::start(installation).await;
    let refused = async |change: Value| {
        let mut body = to(&numbered(2), "Olá!");
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        app.post(BROADCASTS, &body).await.paths()
    };
    assert_eq!(refused(json!({ "recipients": null })).await, ["/recipients"]);
    assert_eq!(refused(json!({ "recipients": [] })).await, ["/recipients"]);
    assert_eq!(refused(json!({ "recipients": ["a", 7, ""] })).await, ["/recipients/1", "/recipients/2"]);
    assert_eq!(refused(json!({ "groupId": "x" })).await, ["/groupId"]);
    assert_eq!(refused(json!({ "message": null, "mensagem": "x" })).await, ["/mensagem", "/message"]);
    assert_eq!(refused(json!({ "priority": 5, "ratePerMinute": 0 })).await, ["/priority", "/ratePerMinute"]);
    assert_eq!(refused(json!({ "variables": { "r0": { "a b": "x", "c": [] }, "r1": 7 } })).await.len(), 3);
    assert_eq!(refused(json!({ "variables": { "stranger": {} } })).await, ["/variables/stranger"]);
    assert_eq!(refused(json!({ "channel": "fax" })).await, ["/channel"]);
    assert_eq!(refused(json!({ "recipients": numbered(100_001) })).await, ["/recipients"]);
    assert_eq!(app.sql_number("select count(*) from messaging_broadcasts").await, 0);
}

async fn a_broadcast_goes_on_where_its_process_has_died(installation: Installation) {
    let settings = [("BROADCAST_AHEAD", "50"), ("NODE_TIMEOUT", "5s")];
    let mut app = TestApp::start_with(installation, &settings).await;
    let path = accepted(&app, &to(&numbered(600), "Olá!")).await;
    app.kill9();
    app.restart().await;
    let broadcast = becomes_within(AT_LAST, &app, &path, "finished").await;
    assert_eq!(broadcast["counts"]["sent"], 600, "{broadcast}");
    let rows = "select count(distinct remote_jid) from messaging_messages where status = 'sent'";
    assert_eq!(
        (app.sql_number(rows).await, app.sql_number("select count(*) from messaging_messages").await),
        (600, 600)
    );
}
