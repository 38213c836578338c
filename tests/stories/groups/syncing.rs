//! A provider's groups, brought here.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::keeping::{GROUPS, sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::evolution::{FakeEvolution, GLOBAL_KEY};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_provider_that_fails_is_told_and_what_was_synced_stays,
    a_sync_that_nobody_waits_for_is_asked_about;
    in_both_modes:
    a_synced_group_is_one_recipient;
    on_both_databases:
    groups_are_as_the_provider_has_them, a_sync_of_a_clock_that_was_ahead_ends_with_its_process;
);

/// The id of an instance whose phone is connected.
async fn connected(app: &TestApp, evolution: &FakeEvolution) -> String {
    let instance = app
        .create_instance(&json!({
            "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
            "credentials": { "baseUrl": evolution.base_url, "apiKey": GLOBAL_KEY },
        }))
        .await;
    evolution.becomes("loja", "open");
    instance
}

fn vendas(participants: Value) -> Value {
    json!({
        "id": "120363000000000000@g.us", "subject": "Vendas", "subjectOwner": "1@lid", "subjectTime": 1_700_000_000,
        "pictureUrl": null, "size": 2, "creation": 1_690_000_000, "owner": "1@lid", "restrict": false,
        "participants": participants,
    })
}

fn people() -> Value {
    json!([
        { "id": "12345678901234@lid", "phoneNumber": "5511999999999@s.whatsapp.net", "admin": "superadmin" },
        { "id": "5511888888888@s.whatsapp.net", "lid": "222@lid", "admin": null },
        { "id": "333@lid", "admin": null },
    ])
}

async fn groups_are_as_the_provider_has_them(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    let instance = connected(&app, &evolution).await;
    let sync = format!("{GROUPS}/sync/{instance}");
    evolution.has_groups("loja", json!([]));
    let none = json!({ "success": true, "message": "Nenhum grupo encontrado",
        "data": { "totalGroups": 0, "syncedGroups": 0, "totalMembers": 0 } });
    let answer = app.post(&sync, &json!({})).await;
    assert_eq!((answer.status, answer.json()), (200, none));

    evolution.has_groups("loja", json!([vendas(people()), { "id": "1203@g.us", "participants": [] }]));
    let all = json!({ "success": true, "message": "Grupos sincronizados com sucesso",
        "data": { "totalGroups": 2, "syncedGroups": 2, "totalMembers": 3 } });
    let answer = app.call(app.request(Method::POST, &sync)).await;
    assert_eq!((answer.status, answer.json()), (200, all));
    let groups = app.get(&format!("{GROUPS}?instanceId={instance}")).await.json();
    let group = &groups[0];
    assert_eq!(
        (&group["name"], &group["type"], &group["isSynced"]),
        (&json!("Vendas"), &json!("SYNCED_WHATSAPP"), &json!(true))
    );
    assert_eq!(
        (&group["externalGroupId"], &groups[1]["name"]),
        (&json!("120363000000000000@g.us"), &json!("Grupo sem nome"))
    );
    let metadata = json!({ "subject": "Vendas", "owner": "1@lid", "creation": 1_690_000_000,
        "subjectTime": 1_700_000_000, "subjectOwner": "1@lid", "participantCount": 3 });
    assert_eq!((&group["metadata"], group["lastSyncAt"].is_string()), (&metadata, true));
    let path = format!("{GROUPS}/{}", group["id"].as_str().unwrap());
    let members = app.get(&format!("{path}/members")).await.json();
    let told: Vec<_> =
        members.as_array().unwrap().iter().map(|it| (&it["identifier"], &it["identifierType"])).collect();
    let (phone, lid) = (json!("phone"), json!("lid"));
    assert_eq!(told, [(&json!("5511999999999"), &phone), (&json!("5511888888888"), &phone), (&json!("333@lid"), &lid)]);
    assert_eq!(members[0]["metadata"], json!({ "isAdmin": true, "isSuperAdmin": true }));
    assert_eq!(members[0]["name"], "Sem nome");

    let member = json!({ "identifier": "1", "identifierType": "phone" });
    assert_eq!(app.post(&format!("{path}/members"), &member).await.status, 409);
    assert_eq!(app.delete(&format!("{path}/members/333@lid")).await.status, 409);
    evolution.has_groups("loja", json!([vendas(json!([{ "id": "333@lid", "admin": "admin" }]))]));
    assert_eq!(app.post(&sync, &json!({})).await.data()["totalMembers"], 1);
    let groups = app.get(&format!("{GROUPS}?instanceId={instance}")).await.json();
    assert_eq!((groups.as_array().unwrap().len(), &groups[0]["id"]), (1, &group["id"]));
    let now = app.get(&format!("{path}/members")).await.json();
    assert_eq!((now.as_array().unwrap().len(), &now[0]["id"]), (1, &members[2]["id"]));
    assert_eq!(now[0]["metadata"], json!({ "isAdmin": true, "isSuperAdmin": false }));
}

async fn a_synced_group_is_one_recipient(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    let instance = connected(&app, &evolution).await;
    evolution.has_groups("loja", json!([vendas(people())]));
    app.post(&format!("{GROUPS}/sync/{instance}"), &json!({})).await;
    let group = app.get(GROUPS).await.json()[0]["id"].as_str().unwrap().to_owned();
    let by_name =
        json!({ "channel": "whatsapp_evolution", "channelInstanceId": "loja", "groupId": group, "message": "a" });
    let answers =
        [app.post(&format!("{GROUPS}/{group}/send"), &json!({ "message": "Olá!" })).await, app.send(&by_name).await];
    for (answer, place) in answers.iter().zip(["", "/data"]) {
        let body = answer.json();
        let told = body.pointer(place).unwrap();
        let expected = if app.waits() {
            json!({ "total": 1, "sent": 1, "failed": 0, "errors": [] })
        } else {
            json!({ "total": 1, "queued": true })
        };
        assert_eq!((answer.status, told), (if app.waits() { 200 } else { 202 }, &expected));
    }
    let numbers = eventually(SOON, "both are sent", async || {
        let sent = evolution.sent("loja");
        (sent.len() == 2).then(|| sent.iter().map(|body| body["number"].clone()).collect::<Vec<_>>())
    });
    assert_eq!(numbers.await, ["120363000000000000@g.us", "120363000000000000@g.us"]);
}

async fn a_provider_that_fails_is_told_and_what_was_synced_stays(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    let instance = connected(&app, &evolution).await;
    let sync = format!("{GROUPS}/sync/{instance}");
    evolution.has_groups("loja", json!([vendas(people())]));
    app.post(&sync, &json!({})).await;
    evolution.becomes("loja", "close");
    let failed = app.post(&sync, &json!({})).await;
    assert_eq!((failed.status, failed.problem()), (502, "channel-failed".to_owned()));
    assert_eq!(failed.json()["error"], "Erro ao buscar grupos da Evolution API");
    assert!(failed.json()["details"].as_str().unwrap().contains("Cannot convert undefined"), "{}", failed.json());
    assert!(!failed.json().to_string().contains(GLOBAL_KEY));
    assert_eq!(app.get(GROUPS).await.json().as_array().unwrap().len(), 1);
    assert_eq!(app.get(&sync).await.data()["status"], "failed");

    for unknown in ["nenhuma".to_owned(), Uuid::now_v7().to_string()] {
        let answer = app.post(&format!("{GROUPS}/sync/{unknown}"), &json!({})).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (404, Some("Instância não encontrada")));
    }
    let other = app.holder_of_a_key("globex", &["messages:write", "messages:read"]).await;
    assert_eq!(other.post(&sync, &json!({})).await.problem(), "unknown-instance");
    assert_eq!(other.get(&sync).await.problem(), "not-found");
    let of_sandbox = format!("{GROUPS}/sync/{}", sandbox(&app, "teste").await);
    assert_eq!(app.post(&of_sandbox, &json!({})).await.paths(), ["/instanceId"]);
}

async fn a_sync_that_nobody_waits_for_is_asked_about(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    let instance = connected(&app, &evolution).await;
    let sync = format!("{GROUPS}/sync/{instance}");
    evolution.has_groups("loja", json!([vendas(people())]));
    evolution.lists_groups_in(Duration::from_secs(1));
    let answer = app.call(app.request(Method::POST, &sync).header("prefer", "respond-async, wait=5")).await;
    assert_eq!((answer.status, answer.header("location")), (202, Some(sync.as_str())), "{}", answer.json());
    assert_eq!(answer.data()["status"], "running");
    let meanwhile = app.post(&sync, &json!({})).await;
    assert_eq!((meanwhile.status, &meanwhile.data()["status"]), (202, &json!("running")));
    let standing = eventually(SOON, "it ends", async || {
        let standing = app.get(&sync).await.data();
        (standing["status"] == "finished").then_some(standing)
    })
    .await;
    assert_eq!((&standing["totalGroups"], &standing["totalMembers"]), (&json!(1), &json!(3)), "{standing}");
}

async fn a_sync_of_a_clock_that_was_ahead_ends_with_its_process(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    let instance = connected(&app, &evolution).await;
    let sync = format!("{GROUPS}/sync/{instance}");
    let gone = json!({ "id": "1203@g.us", "participants": [] });
    evolution.has_groups("loja", json!([vendas(people()), gone]));
    assert_eq!(app.post(&sync, &json!({})).await.data()["syncedGroups"], 2);
    // It has died in the midst of it.
    for ahead in [
        "update messaging_group_syncs set status = 'running', started_at = '2099-01-01T00:00:00.000Z',
            updated_at = '2099-01-01T00:00:01.000Z'",
        "update messaging_groups set last_sync_at = '2099-01-01T00:00:00.000Z'",
    ] {
        app.sql(ahead).await;
    }
    let standing = app.get(&sync).await.data();
    assert_eq!(standing["status"], "failed", "{standing}");

    evolution.has_groups("loja", json!([vendas(json!([{ "id": "333@lid", "admin": null }]))]));
    let again = app.post(&sync, &json!({})).await;
    assert_eq!((again.status, &again.data()["totalMembers"]), (200, &json!(1)), "{}", again.text());
    let groups = app.get(GROUPS).await.json();
    assert_eq!(groups.as_array().unwrap().len(), 1, "what the provider has no more is deleted: {groups}");
    let members = app.get(&format!("{GROUPS}/{}/members", groups[0]["id"].as_str().unwrap())).await.json();
    assert_eq!(members.as_array().unwrap().len(), 1, "{members}");
    assert_eq!(app.get(&sync).await.data()["status"], "finished");
}
