use std::path::Path;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::HttpReceiver;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_an_instance_cannot_have_is_refused_with_every_path,
    metadata_is_bounded,
    a_generated_secret_is_shown_once;
    on_both_databases:
    an_instance_is_created_listed_read_changed_and_deleted,
    both_paths_create_and_a_taken_name_is_a_conflict,
    null_clears_and_what_is_absent_stays,
    a_list_that_would_be_too_long_is_refused,
    of_changes_at_once_none_is_lost;
    on_every_queue:
    credentials_are_never_told_and_never_stored_in_the_clear;
    on_every_installation:
    deleting_an_instance_fails_its_open_message;
);

const INSTANCES: &str = "/api/messaging/instances";

fn a_shop() -> Value {
    json!({
        "channel": "sandbox", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
        "name": "Loja", "maxRetries": 5, "metadata": { "dono": "José" },
    })
}

/// Whoever changes one member writes back no other: not the credentials that somebody has just replaced.
async fn of_changes_at_once_none_is_lost(installation: Installation) {
    let app = TestApp::start(installation).await;
    let id = app.create_instance(&a_shop()).await;
    let path = format!("{INSTANCES}/{id}");
    for round in 1..=60 {
        let (name, address) = (format!("Loja {round}"), format!("55859{round:08}"));
        let changes = [
            json!({ "name": name }),
            json!({ "channelPhoneOrId": address }),
            json!({ "maxRetries": round }),
            json!({ "metadata": { "rodada": round } }),
        ];
        let answers = join_all(changes.iter().map(|change| app.patch(&path, change))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{round}");
        let now = app.get(&path).await.data();
        assert_eq!((&now["name"], &now["channelPhoneOrId"]), (&json!(name), &json!(address)));
        assert_eq!((&now["maxRetries"], &now["metadata"]), (&json!(round), &json!({ "rodada": round })));
    }
}

async fn an_instance_is_created_listed_read_changed_and_deleted(installation: Installation) {
    let app = TestApp::start(installation).await;
    let created = app.post(INSTANCES, &a_shop()).await;
    assert_eq!(created.status, 201, "{}", created.json());
    let data = created.data();
    let id = data["instanceId"].as_str().unwrap().to_owned();
    assert_eq!((&data["id"], &data["status"]), (&json!(id), &json!("connected")));
    assert!(data["message"].is_string(), "{data}");
    for (name, value) in a_shop().as_object().unwrap() {
        assert_eq!(&data[name], value, "{data}");
    }

    let path = format!("{INSTANCES}/{id}");
    let read = app.get(&path).await.data();
    for name in ["id", "userId", "name", "channel", "channelInstanceId", "channelPhoneOrId", "status", "metadata"] {
        assert_eq!(read[name], data[name], "{name}");
    }
    let list = app.get(INSTANCES).await.data();
    assert_eq!((list.as_array().unwrap().len(), &list[1]), (2, &read), "the sandbox, and then this one");
    assert_eq!(app.get(&format!("{INSTANCES}?channel=sandbox")).await.data(), list);
    assert_eq!(app.get(&format!("{INSTANCES}?channel=webhook")).await.data(), json!([]));

    let changed = app.patch(&path, &json!({ "name": "Matriz", "channelPhoneOrId": "5585977777777" })).await;
    assert_eq!(changed.status, 200, "{}", changed.json());
    let read = app.get(&path).await.data();
    assert_eq!((&read["name"], &read["channelPhoneOrId"]), (&json!("Matriz"), &json!("5585977777777")));

    let deleted = app.delete(&path).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(app.get(&path).await.problem(), "unknown-instance");
    assert_eq!(app.delete(&path).await.problem(), "unknown-instance");
    assert_eq!(app.patch(&path, &json!({ "name": "x" })).await.problem(), "unknown-instance");
    assert_eq!(app.post(INSTANCES, &a_shop()).await.status, 201, "its name is free again");
}

async fn both_paths_create_and_a_taken_name_is_a_conflict(installation: Installation) {
    let app = TestApp::start(installation).await;
    let created = app.post("/api/messaging/instance", &a_shop()).await;
    assert_eq!(created.status, 201);
    for path in [INSTANCES, "/api/messaging/instance"] {
        // What is not given agrees with what is there.
        let mut less = a_shop();
        less.as_object_mut().unwrap().remove("metadata");
        for same in [a_shop(), less] {
            let known = app.post(path, &same).await;
            assert_eq!((known.status, &known.data()["instanceId"]), (200, &created.data()["instanceId"]));
        }
        for (member, other) in [("name", json!("Filial")), ("maxRetries", json!(6)), ("channelPhoneOrId", json!("1"))] {
            let mut changed = a_shop();
            changed[member] = other;
            let taken = app.post(path, &changed).await;
            assert_eq!((taken.status, taken.problem().as_str()), (409, "conflict"), "{member}");
        }
    }
    let one = json!({ "channel": "webhook", "channelInstanceId": "uma", "channelPhoneOrId": "http://localhost:1/" });
    let at_once = join_all((0..8).map(|_| app.post(INSTANCES, &one)));
    let mut statuses: Vec<u16> = at_once.await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    let mut other_channel = a_shop();
    (other_channel["channel"], other_channel["channelPhoneOrId"]) = (json!("webhook"), json!("http://localhost:1/"));
    assert_eq!(app.post(INSTANCES, &other_channel).await.status, 201, "another channel has names of its own");
}

async fn null_clears_and_what_is_absent_stays(installation: Installation) {
    let app = TestApp::start(installation).await;
    let path = format!("{INSTANCES}/{}", app.create_instance(&a_shop()).await);
    assert_eq!(app.patch(&path, &json!({ "name": null })).await.status, 200);
    let read = app.get(&path).await.data();
    assert_eq!(read["name"], json!(null));
    assert_eq!((&read["maxRetries"], &read["metadata"]), (&json!(5), &json!({ "dono": "José" })));

    assert_eq!(app.patch(&path, &json!({ "maxRetries": null, "metadata": null })).await.status, 200);
    let read = app.get(&path).await.data();
    assert_eq!((&read["maxRetries"], &read["metadata"]), (&json!(null), &json!(null)));
    assert_eq!(read["channelPhoneOrId"], "5585988888888");
}

async fn what_an_instance_cannot_have_is_refused_with_every_path(installation: Installation) {
    let app = TestApp::start(installation).await;
    let cases: [(Value, &[&str]); 7] = [
        (json!({}), &["/channel", "/channelInstanceId", "/channelPhoneOrId"]),
        (json!({ "channel": "pigeon", "channelInstanceId": "x", "channelPhoneOrId": "x" }), &["/channel"]),
        (
            json!({ "channel": "webhook", "channelInstanceId": "x", "channelPhoneOrId": "ftp://x" }),
            &["/channelPhoneOrId"],
        ),
        (
            json!({ "channel": "sandbox", "channelInstanceId": "", "channelPhoneOrId": "x", "maxRetries": 0, "typo": 1 }),
            &["/channelInstanceId", "/maxRetries", "/typo"],
        ),
        (
            json!({ "channel": "sandbox", "channelInstanceId": "x", "channelPhoneOrId": "x", "metadata": [] }),
            &["/metadata"],
        ),
        (
            json!({
                "channel": "webhook", "channelInstanceId": "x", "channelPhoneOrId": "http://x.example/",
                "credentials": { "secret": "too short" },
            }),
            &["/credentials/secret"],
        ),
        (
            json!({
                "channel": "webhook", "channelInstanceId": "", "channelPhoneOrId": "ftp://x",
                "credentials": { "secret": "too short" }, "typo": 1,
            }),
            &["/channelInstanceId", "/channelPhoneOrId", "/credentials/secret", "/typo"],
        ),
    ];
    for (body, paths) in cases {
        assert_eq!(app.post(INSTANCES, &body).await.paths(), paths, "{body}");
    }
    let path = format!("{INSTANCES}/{}", app.create_instance(&a_shop()).await);
    let fixed = json!({ "channel": "webhook", "channelInstanceId": "x", "channelPhoneOrId": null });
    assert_eq!(app.patch(&path, &fixed).await.paths(), ["/channel", "/channelInstanceId", "/channelPhoneOrId"]);
}

/// What all files of a folder hold.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![std::fs::read(path).unwrap()] }).collect()
}

async fn credentials_are_never_told_and_never_stored_in_the_clear(installation: Installation) {
    const API_KEY: &str = "an-api-key-of-evolution";
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    let app = TestApp::start(installation).await;
    let secretive = async |caller: &TestApp, method: Method, path: &str, body: Option<Value>| {
        let request = caller.request(method, path);
        let answer = caller.call(if let Some(body) = body { request.json(&body) } else { request }).await;
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert!(answer.status < 300, "{text}");
        assert!(!text.contains(API_KEY) && !text.contains(SECRET) && !text.contains("credentials"), "{text}");
        answer
    };
    let whatsapp = json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
        "credentials": { "baseUrl": "http://127.0.0.1:1", "apiKey": API_KEY },
    });
    let created = secretive(&app, Method::POST, INSTANCES, Some(whatsapp.clone())).await;
    let path = format!("{INSTANCES}/{}", created.data()["instanceId"].as_str().unwrap());
    let webhook = json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": "http://127.0.0.1:1/",
        "credentials": { "secret": SECRET },
    });
    secretive(&app, Method::POST, INSTANCES, Some(webhook)).await;
    let change = json!({ "credentials": whatsapp["credentials"] });
    secretive(&app, Method::PATCH, &path, Some(change)).await;
    secretive(&app, Method::GET, &path, None).await;
    secretive(&app, Method::GET, INSTANCES, None).await;

    // Nor after a failure that had to use them.
    let send = json!({ "channel": "whatsapp_evolution", "channelInstanceId": "loja", "remoteJid": "5585999999999", "message": "x" });
    let failed = app.send(&send).await;
    assert!(!failed.json().to_string().contains(API_KEY));
    let message = app.ended(&failed.message_id()).await;
    assert_eq!(message["status"], "failed", "{message}");
    assert!(!message.to_string().contains(API_KEY));

    let rows = json!(app.sql("select * from messaging_instances").await).to_string();
    let messages = json!(app.sql("select * from messaging_messages").await).to_string();
    let log = app.log().join("\n");
    let mut places = vec![rows.into_bytes(), messages.into_bytes(), log.into_bytes()];
    if app.installation.is_sqlite() {
        places.extend(files(&app.installation.data_dir()));
    }
    for place in places {
        for secret in [API_KEY, SECRET] {
            let found = place.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in the clear");
        }
    }
}

async fn a_generated_secret_is_shown_once(installation: Installation) {
    let app = TestApp::start(installation).await;
    let receiver = HttpReceiver::start().await;
    let created = app
        .post(
            INSTANCES,
            &json!({ "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": receiver.url("/") }),
        )
        .await;
    let secret = created.data()["credentials"]["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let path = format!("{INSTANCES}/{}", created.data()["instanceId"].as_str().unwrap());
    let renamed = app.patch(&path, &json!({ "name": "Pedidos" })).await;
    for answer in [renamed, app.get(&path).await, app.get(INSTANCES).await] {
        let text = answer.json().to_string();
        assert!(answer.status == 200 && !text.contains("whsec_") && !text.contains("credentials"), "{text}");
    }
}

async fn deleting_an_instance_fails_its_open_message(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = app.create_instance(&a_shop()).await;
    let mut body = to_sandbox("slow-5000ms");
    body["channelInstanceId"] = "loja".into();
    let sending = async { app.send(&body).await };
    let deleting = async {
        eventually(SOON, "the message is being delivered", async || {
            let rows = app.sql("select status from messaging_messages").await;
            rows.first().filter(|row| row["status"] == if app.waits() { "pending" } else { "processing" }).map(drop)
        })
        .await;
        let deleted = app.delete(&format!("{INSTANCES}/{instance}")).await;
        assert_eq!(deleted.status, 204);
        let row = eventually(SOON, "what was open has failed", async || {
            let row = app.sql("select * from messaging_messages").await.remove(0);
            (row["status"] == "failed").then_some(row)
        })
        .await;
        assert!(row["error"].as_str().unwrap().contains("deleted"), "{row}");
        eventually(SOON, "the instance is forgotten", async || {
            let listed = app.sql_number("select count(*) from messaging_deleted_instances").await;
            (listed == 0).then_some(())
        })
        .await;
    };
    let (answer, ()) = tokio::join!(sending, deleting);
    if app.waits() {
        assert_eq!((answer.status, answer.problem().as_str()), (502, "channel-failed"), "{}", answer.json());
        assert!(answer.json()["error"].as_str().unwrap().contains("deleted"), "{}", answer.json());
    } else {
        app.accepted(&answer);
    }
    let message = app.message(&answer.message_id()).await;
    assert_eq!(message["status"], "failed", "the messages of a deleted instance can still be looked at");
    assert_eq!(app.send(&body).await.problem(), "unknown-instance");
}

async fn metadata_is_bounded(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut shop = a_shop();
    // With its member's name and what surrounds both.
    shop["metadata"] = json!({ "a": "x".repeat(16 * 1024 - 8) });
    let id = app.create_instance(&shop).await;
    let too_much = json!({ "a": "x".repeat(16 * 1024 - 7) });
    let path = format!("{INSTANCES}/{id}");
    assert_eq!(app.patch(&path, &json!({ "metadata": too_much })).await.paths(), ["/metadata"]);
    shop["metadata"] = too_much;
    shop["channelInstanceId"] = json!("outra");
    assert_eq!(app.post(INSTANCES, &shop).await.paths(), ["/metadata"]);
    assert_eq!(app.patch(&path, &json!({ "metadata": { "a": 1 } })).await.status, 200);
}

/// Metadata that is older than its bound.
async fn a_list_that_would_be_too_long_is_refused(installation: Installation) {
    let app = TestApp::start(installation).await;
    let id = app.create_instance(&a_shop()).await;
    for number in 0..2 {
        let mut shop = a_shop();
        shop["channelInstanceId"] = json!(format!("loja-{number}"));
        app.create_instance(&shop).await;
    }
    let large = format!("'{{\"a\":\"{}\"}}'", "x".repeat(9 << 20));
    app.sql(&format!("update messaging_instances set metadata = {large}")).await;
    assert_eq!(app.get(INSTANCES).await.paths(), ["/channel"]);
    let webhooks = app.get(&format!("{INSTANCES}?channel=webhook")).await;
    assert_eq!((webhooks.status, webhooks.data()), (200, json!([])));
    assert_eq!(app.get(&format!("{INSTANCES}/{id}")).await.status, 200);
    let cleared = app.patch(&format!("{INSTANCES}/{id}"), &json!({ "metadata": null })).await;
    assert_eq!(cleared.status, 200, "{}", cleared.json());
    app.sql("update messaging_instances set metadata = null where channel_instance_id = 'sandbox'").await;
    let list = app.get(INSTANCES).await;
    assert_eq!((list.status, list.data().as_array().unwrap().len()), (200, 4));
}
