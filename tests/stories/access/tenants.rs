use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::caller::{Caller, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::{JWT_SECRET, TestApp};

stories!(
    on_one_installation:
    a_missing_scope_is_named,
    every_operation_asks_who_calls,
    a_token_gives_access_to_its_tenant_until_it_expires,
    a_key_stops_when_it_expires;
    on_both_databases:
    what_one_tenant_has_is_unknown_to_another,
    a_revoked_key_stops_within_five_seconds;
);

const A_MESSAGE: &str = "/api/messaging/messages/019bd8a2-0000-7000-8000-000000000000";
const AN_INSTANCE: &str = "/api/messaging/instances/019bd8a2-0000-7000-8000-000000000000";

/// What must not differ between what is another's and what is nobody's: all but the request's id and the date.
fn told(answer: &Answered) -> (u16, String, Vec<String>) {
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    (answer.status, String::from_utf8(answer.body.clone()).unwrap(), names)
}

async fn what_one_tenant_has_is_unknown_to_another(installation: Installation) {
    let app = TestApp::start(installation).await;
    let a = app.holder_of_a_key("a", &[]).await;
    let b = app.holder_of_a_key("b", &[]).await;
    let own = json!({ "channel": "sandbox", "channelInstanceId": "own", "channelPhoneOrId": "x" });
    let instance = a.create_instance(&own).await;
    let mut to_own = to_sandbox("5585999999999");
    to_own["channelInstanceId"] = "own".into();
    let sent = a.send_once("pedido-1", &to_own).await;
    let before = a.ended(&a.accepted(&sent)).await;

    // An id of A's answers as one that nobody has.
    let theirs = format!("/api/messaging/instances/{instance}");
    let message = format!("/api/messaging/messages/{}", sent.message_id());
    let change = json!({ "name": "Mine now" });
    assert_eq!(told(&b.get(&message).await), told(&b.get(A_MESSAGE).await));
    assert_eq!(told(&b.get(&theirs).await), told(&b.get(AN_INSTANCE).await));
    assert_eq!(told(&b.patch(&theirs, &change).await), told(&b.patch(AN_INSTANCE, &change).await));
    assert_eq!(told(&b.delete(&theirs).await), told(&b.delete(AN_INSTANCE).await));
    assert_eq!(b.get(&message).await.problem(), "unknown-message");
    assert_eq!(b.get(&theirs).await.problem(), "unknown-instance");
    let mut to_nobodys = to_own.clone();
    to_nobodys["channelInstanceId"] = "nobody's".into();
    // Not even A's key makes a difference.
    assert_eq!(told(&b.send_once("pedido-1", &to_own).await), told(&b.send_once("pedido-1", &to_nobodys).await));
    assert_eq!(b.send(&to_own).await.problem(), "unknown-instance");

    // Nothing of A is listed or counted, whatever B filters by.
    for filter in ["", "?channel=sandbox", "?channel=sandbox&channelInstanceId=own", "?remoteJid=5585999999999"] {
        let list = b.get(&format!("/api/messaging/messages{filter}")).await;
        assert_eq!((list.status, list.data()), (200, json!([])), "{filter}");
        assert_eq!(b.get(&format!("/api/messaging/messages/stats{filter}")).await.data()["total"], 0, "{filter}");
    }
    assert_eq!(b.get("/api/messaging/instances").await.data(), json!([]));

    // B may use the same names and keys for its own.
    b.create_instance(&own).await;
    let of_b = b.send_once("pedido-1", &to_own).await;
    assert_ne!(b.accepted(&of_b), sent.message_id());
    assert_eq!(of_b.header("idempotent-replay"), None);
    assert_eq!(a.get("/api/messaging/messages/stats").await.data()["total"], 1);
    assert_eq!(a.message(&sent.message_id()).await, before);
    assert_eq!(a.get(&theirs).await.data()["name"], json!(null));
}

async fn a_missing_scope_is_named(installation: Installation) {
    let app = TestApp::start(installation).await;
    let send = to_sandbox("5585999999999");
    let create = json!({ "channel": "sandbox", "channelInstanceId": "x", "channelPhoneOrId": "x" });
    let nothing = json!({});
    let operations: [(Method, &str, Option<&Value>, &str); 9] = [
        (Method::POST, "/api/messaging/message/send", Some(&send), "messages:write"),
        (Method::GET, "/api/messaging/messages", None, "messages:read"),
        (Method::GET, "/api/messaging/messages/stats", None, "messages:read"),
        (Method::GET, A_MESSAGE, None, "messages:read"),
        (Method::POST, "/api/messaging/instances", Some(&create), "instances:write"),
        (Method::POST, "/api/messaging/instance", Some(&create), "instances:write"),
        (Method::GET, "/api/messaging/instances", None, "instances:read"),
        (Method::PATCH, AN_INSTANCE, Some(&nothing), "instances:write"),
        (Method::DELETE, AN_INSTANCE, None, "instances:write"),
    ];
    const SCOPES: [&str; 4] = ["messages:write", "messages:read", "instances:write", "instances:read"];
    for missing in SCOPES {
        let others: Vec<&str> = SCOPES.into_iter().filter(|scope| *scope != missing).collect();
        let with_key = app.holder_of_a_key("default", &others).await;
        let mut arguments = vec!["token", "--sub", "maria"];
        arguments.extend(others.iter().flat_map(|scope| ["--scope", scope]));
        let with_token = app.with_token(&app.correio(&arguments).await);
        for (method, path, body, scope) in &operations {
            for caller in [&with_key, &with_token] {
                let request = caller.request(method.clone(), path);
                let answer = caller.call(if let Some(body) = body { request.json(body) } else { request }).await;
                if *scope == missing {
                    assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{method} {path}");
                    assert!(answer.json()["detail"].as_str().unwrap().contains(missing), "{}", answer.json());
                } else {
                    assert!(![401, 403].contains(&answer.status), "{method} {path}: {}", answer.status);
                }
            }
        }
    }
}

async fn every_operation_asks_who_calls(installation: Installation) {
    let app = TestApp::start(installation).await;
    let nobody = app.nobody();
    let document = nobody.get("/api/openapi.json").await.json();
    let strangers = [nobody.clone(), app.with_key("not-a-key-of-anybody-0123456789-abc"), app.with_token("a.b.c")];
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        // Providers prove themselves otherwise: see `stories::receipts` and `stories::instances`.
        if !path.starts_with("/api/messaging") || path.starts_with("/api/messaging/webhook") {
            continue;
        }
        let path = path.replace("{id}", "x").replace("{instanceId}", "x");
        for method in operations.as_object().unwrap().keys() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            for stranger in &strangers {
                // Not JSON, and not said to be: who calls is looked at first.
                let answer = stranger.call(stranger.request(method.clone(), &path).body("{")).await;
                assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"), "{method} {path}");
                assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{method} {path}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 10, "{asked} operations are documented");
    for path in ["/health", "/health/live", "/health/ready", "/api", "/api/openapi.json"] {
        // It is ready when its consumer has joined the group, a moment after it listens.
        eventually(SOON, path, async || (nobody.get(path).await.status == 200).then_some(())).await;
    }
}

fn signed(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(JWT_SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

async fn a_token_gives_access_to_its_tenant_until_it_expires(installation: Installation) {
    let app = TestApp::start(installation).await;
    let maria = app.with_token(&app.correio(&["token", "--sub", "maria", "--tenant", "default"]).await);
    let sent = maria.send(&to_sandbox("5585999999999")).await;
    maria.accepted(&sent);
    assert_eq!(app.sql_message(&sent.message_id()).await["user_id"], "maria");

    // A tenant without rows is an empty tenant, and without the claim the subject is the tenant.
    let now = chrono::Utc::now().timestamp();
    let joana = app.with_token(&signed(&json!({ "sub": "joana", "exp": now + 60 })));
    assert_eq!(joana.get("/api/messaging/messages").await.data(), json!([]));
    assert_eq!(joana.get(&format!("/api/messaging/messages/{}", sent.message_id())).await.status, 404);

    let refused = async |caller: Caller| {
        let answer = caller.get("/api/messaging/messages").await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"));
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    };
    let skewed = signed(&json!({ "sub": "maria", "tenant": "default", "exp": now - 30 }));
    assert_eq!(app.with_token(&skewed).get("/api/messaging/messages").await.status, 200, "clocks may differ by 60 s");
    refused(app.with_token(&signed(&json!({ "sub": "maria", "tenant": "default", "exp": now - 120 })))).await;
    refused(app.with_token(&signed(&json!({ "sub": "maria", "tenant": "default" })))).await;
    refused(app.with_token(&format!("{}x", signed(&json!({ "sub": "maria", "exp": now + 60 }))))).await;
}

async fn a_revoked_key_stops_within_five_seconds(installation: Installation) {
    let app = TestApp::start(installation).await;
    let key = app.correio(&["keys", "create", "--tenant", "default", "--name", "short-lived"]).await;
    let holder = app.with_key(&key);
    assert_eq!(holder.get("/api/messaging/messages").await.status, 200);
    assert_eq!(app.with_token(&key).get("/api/messaging/messages").await.status, 200, "it may come as Bearer");

    let list = app.correio(&["keys", "list", "--tenant", "default"]).await;
    assert!(!list.contains(&key), "a list has no keys");
    let row = list.lines().find(|line| line.contains("short-lived")).unwrap();
    let id = row.split('\t').next().unwrap();
    app.correio(&["keys", "revoke", id]).await;
    eventually(Duration::from_secs(5), "the key stops", async || {
        (holder.get("/api/messaging/messages").await.status == 401).then_some(())
    })
    .await;
    assert_eq!(app.get("/api/messaging/messages").await.status, 200, "the other key goes on");

    let stored = app.sql("select * from api_keys").await;
    assert!(!json!(stored).to_string().contains(&key), "only a hash is stored");
}

async fn a_key_stops_when_it_expires(installation: Installation) {
    let app = TestApp::start(installation).await;
    let key = app.correio(&["keys", "create", "--name", "until-soon", "--expires", "2s"]).await;
    let holder = app.with_key(&key);
    assert_eq!(holder.get("/api/messaging/messages").await.status, 200);
    eventually(Duration::from_secs(8), "the key expires", async || {
        (holder.get("/api/messaging/messages").await.status == 401).then_some(())
    })
    .await;
}
