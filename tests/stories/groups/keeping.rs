//! Groups and their members, as existing clients know them: bare objects and arrays.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::caller::Caller;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_list_of_members_is_taken_as_json_and_as_csv,
    a_bad_group_is_refused_with_what_is_wrong;
    on_both_databases:
    a_group_is_made_changed_listed_and_deleted,
    members_are_added_listed_and_removed,
    one_tenants_groups_are_not_there_for_another,
    a_list_is_given_page_by_page_where_it_is_asked_for,
    the_groups_of_a_deleted_instance_go_after_it;
);

pub const GROUPS: &str = "/api/messaging/groups";

/// The id of an instance of the sandbox.
pub async fn sandbox(caller: &Caller, name: &str) -> String {
    caller.create_instance(&json!({ "channel": "sandbox", "channelInstanceId": name, "channelPhoneOrId": "x" })).await
}

/// The path of a new group.
pub async fn new_group(caller: &Caller, instance: &str, name: &str) -> String {
    let made = caller.post(GROUPS, &json!({ "instanceId": instance, "name": name })).await;
    assert_eq!(made.status, 201, "{}", made.json());
    format!("{GROUPS}/{}", made.json()["id"].as_str().unwrap())
}

pub async fn put(caller: &Caller, path: &str, body: &Value) -> crate::support::answered::Answered {
    caller.call(caller.request(Method::PUT, path).json(body)).await
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("an array").iter().map(|item| item["name"].as_str().unwrap()).collect()
}

async fn a_group_is_made_changed_listed_and_deleted(installation: Installation) {
    let app = TestApp::start(installation).await;
    let (instance, other) = (sandbox(&app, "loja").await, sandbox(&app, "outra").await);
    let made =
        app.post(GROUPS, &json!({ "instanceId": instance, "name": "Clientes", "description": "Os de sempre" })).await;
    let group = made.json();
    let expected = json!({
        "id": group["id"], "userId": group["userId"], "businessProfileId": "default", "instanceId": instance,
        "name": "Clientes", "description": "Os de sempre", "type": "CUSTOM", "externalGroupId": null, "metadata": null,
        "isSynced": false, "lastSyncAt": null, "createdAt": group["createdAt"], "updatedAt": group["createdAt"],
    });
    assert_eq!((made.status, &group), (201, &expected));
    assert!(group["userId"].as_str().unwrap().starts_with("key:"));
    let path = format!("{GROUPS}/{}", group["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.json(), group);

    let changed = put(&app, &path, &json!({ "name": "Clientes de 2026" })).await;
    assert_eq!((changed.status, &changed.json()["name"]), (200, &json!("Clientes de 2026")));
    assert_eq!(changed.json()["description"], "Os de sempre");
    assert_eq!(put(&app, &path, &json!({ "description": null })).await.json()["description"], json!(null));

    new_group(&app, &other, "Fornecedores").await;
    assert_eq!(names(&app.get(GROUPS).await.json()), ["Clientes de 2026", "Fornecedores"]);
    assert_eq!(names(&app.get(&format!("{GROUPS}?instanceId={other}")).await.json()), ["Fornecedores"]);
    assert_eq!(app.get(&format!("{GROUPS}?instanceId=nenhuma")).await.json(), json!([]));

    let rows = app.sql("select name, type, is_synced, business_profile_id from messaging_groups order by id").await;
    assert_eq!((&rows[0]["name"], &rows[0]["type"]), (&json!("Clientes de 2026"), &json!("CUSTOM")));
    assert_eq!(rows[0]["business_profile_id"], "default");

    let deleted = app.delete(&path).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    for answer in [app.get(&path).await, app.delete(&path).await, put(&app, &path, &json!({})).await] {
        assert_eq!((answer.status, answer.problem()), (404, "unknown-group".to_owned()));
    }
}

async fn members_are_added_listed_and_removed(installation: Installation) {
    let app = TestApp::start(installation).await;
    let group = new_group(&app, &sandbox(&app, "loja").await, "Clientes").await;
    let members = format!("{group}/members");
    let ana =
        json!({ "identifier": "+55 85 99999/9999", "identifierType": "phone", "name": "Ana", "metadata": {"b": 1.0} });
    let added = app.post(&members, &ana).await;
    let member = added.json();
    let expected = json!({
        "id": member["id"], "groupId": group.rsplit('/').next().unwrap(), "identifier": "+55 85 99999/9999",
        "identifierType": "phone", "name": "Ana", "metadata": {"b": 1.0}, "isActive": true, "addedAt": member["addedAt"],
    });
    assert_eq!((added.status, &member), (201, &expected));
    let bia = json!({ "identifier": "+55 85 99999/9999", "identifierType": "phone", "name": "Bia" });
    let again = app.post(&members, &bia).await;
    assert_eq!((again.status, &again.json()["id"], &again.json()["name"]), (200, &member["id"], &json!("Bia")));
    app.post(&members, &json!({ "identifier": "ana@example.org", "identifierType": "email" })).await;
    let listed = app.get(&members).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!((&listed[1]["identifier"], &listed[1]["name"]), (&json!("ana@example.org"), &json!(null)));
    let rows = app.sql("select identifier, identifier_type from messaging_group_members order by id").await;
    assert_eq!(rows[1], json!({ "identifier": "ana@example.org", "identifier_type": "email" }));

    let path = format!("{members}/%2B55%2085%2099999%2F9999");
    assert_eq!(app.delete(&path).await.status, 204);
    let gone = app.delete(&path).await;
    assert_eq!((gone.status, gone.problem()), (404, "unknown-member".to_owned()));
    assert_eq!(app.get(&members).await.json().as_array().unwrap().len(), 1);
}

async fn a_list_of_members_is_taken_as_json_and_as_csv(installation: Installation) {
    let app = TestApp::start(installation).await;
    let group = new_group(&app, &sandbox(&app, "loja").await, "Clientes").await;
    let batch = format!("{group}/members:batch");
    let many: Vec<Value> = (0..10_000)
        .map(|number| json!({ "identifier": format!("55859{number:08}"), "identifierType": "phone", "name": "Ana" }))
        .collect();
    let answer = app.post(&batch, &json!(many)).await;
    let all = json!({ "added": 10_000, "updated": 0, "refused": [] });
    assert_eq!((answer.status, answer.json()), (200, all));
    let listed = app.get(&format!("{group}/members")).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 10_000);

    let csv = "identifier,identifierType,name\n5585900000000,phone,Bia\nana@example.org,email,\n,phone,Ana\n1,fax,Ana\n\
               5585900000000,phone,Bia\n";
    let request = app.request(Method::POST, &batch).header("content-type", "text/csv; charset=utf-8");
    let answer = app.call(request.body(csv)).await;
    let expected = json!({ "added": 1, "updated": 2, "refused": [
        { "line": 4, "error": "identifier must not be empty" },
        { "line": 5, "error": "identifierType must be one of phone, jid, lid, email, id" },
    ]});
    assert_eq!((answer.status, answer.json()), (200, expected));

    let some = json!([{ "identifier": "x@lid" , "identifierType": "lid" }, 7, { "identifierType": "phone" }]);
    let refused = app.post(&batch, &some).await.json()["refused"].clone();
    let lines: Vec<i64> = refused.as_array().unwrap().iter().map(|it| it["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [1, 2, 3], "{refused}");
    let too_many: Vec<Value> = many.iter().cloned().chain([json!({})]).collect();
    assert_eq!(app.post(&batch, &json!(too_many)).await.paths(), [""]);
    assert_eq!(app.post(&batch, &json!({})).await.paths(), [""]);
    let request = app.request(Method::POST, &batch).header("content-type", "text/csv").body("5585900000000\n");
    assert_eq!(app.call(request).await.paths(), [""]);
    let request = app.request(Method::POST, &batch).header("content-type", "text/plain").body(csv);
    assert_eq!(app.call(request).await.status, 415);
}

async fn a_bad_group_is_refused_with_what_is_wrong(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    assert_eq!(app.post(GROUPS, &json!({ "nome": "x" })).await.paths(), ["/instanceId", "/name", "/nome"]);
    assert_eq!(app.post(GROUPS, &json!({ "instanceId": instance, "name": "" })).await.paths(), ["/name"]);
    for instance in [json!("loja"), json!(Uuid::now_v7().to_string())] {
        let answer = app.post(GROUPS, &json!({ "instanceId": instance, "name": "Clientes" })).await;
        assert_eq!((answer.status, answer.problem()), (404, "unknown-instance".to_owned()));
    }
    let group = new_group(&app, &instance, "Clientes").await;
    assert_eq!(put(&app, &group, &json!({ "name": null })).await.paths(), ["/name"]);
    let members = format!("{group}/members");
    let bad = json!({ "identifier": "", "identifierType": "fax", "metadata": [] });
    assert_eq!(app.post(&members, &bad).await.paths(), ["/identifier", "/identifierType", "/metadata"]);
    let bad = json!({ "identifier": "nobody", "identifierType": "email" });
    assert_eq!(app.post(&members, &bad).await.paths(), ["/identifier"]);
    assert_eq!(app.get(&format!("{members}?limit=0")).await.paths(), ["/limit"]);
    let nowhere = format!("{GROUPS}/nenhum/members");
    assert_eq!(app.get(&nowhere).await.problem(), "unknown-group");
}

async fn one_tenants_groups_are_not_there_for_another(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    let group = new_group(&app, &instance, "Clientes").await;
    let member = json!({ "identifier": "1", "identifierType": "id" });
    app.post(&format!("{group}/members"), &member).await;
    let other = app.holder_of_a_key("globex", &["messages:write", "messages:read"]).await;
    assert_eq!(other.get(GROUPS).await.json(), json!([]));
    assert_eq!(other.get(&format!("{GROUPS}?instanceId={instance}")).await.json(), json!([]));
    assert_eq!(other.post(GROUPS, &json!({ "instanceId": instance, "name": "x" })).await.problem(), "unknown-instance");
    for answer in [
        other.get(&group).await,
        put(&other, &group, &json!({})).await,
        other.delete(&group).await,
        other.get(&format!("{group}/members")).await,
        other.post(&format!("{group}/members"), &member).await,
        other.post(&format!("{group}/members:batch"), &json!([member])).await,
        other.delete(&format!("{group}/members/1")).await,
        other.post(&format!("{group}/send"), &json!({ "message": "Olá!" })).await,
    ] {
        assert_eq!((answer.status, answer.problem()), (404, "unknown-group".to_owned()));
    }
    let reader = app.holder_of_a_key("default", &["messages:read"]).await;
    assert_eq!(reader.get(&group).await.status, 200);
    assert_eq!(reader.delete(&group).await.status, 403);
}

async fn a_list_is_given_page_by_page_where_it_is_asked_for(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    for name in ["a", "b", "c"] {
        new_group(&app, &instance, name).await;
    }
    let first = app.get(&format!("{GROUPS}?limit=2")).await;
    assert_eq!(names(&first.json()), ["a", "b"]);
    let cursor = first.header("x-next-cursor").expect("a cursor");
    let second = app.get(&format!("{GROUPS}?limit=2&cursor={cursor}")).await;
    assert_eq!((names(&second.json()), second.header("x-next-cursor")), (vec!["c"], None));
}

async fn the_groups_of_a_deleted_instance_go_after_it(installation: Installation) {
    let app = TestApp::start(installation).await;
    let instance = sandbox(&app, "loja").await;
    let group = new_group(&app, &instance, "Clientes").await;
    app.post(&format!("{group}/members"), &json!({ "identifier": "1", "identifierType": "id" })).await;
    assert_eq!(app.delete(&format!("/api/messaging/instances/{instance}")).await.status, 204);
    crate::support::eventually::eventually(crate::support::eventually::SOON, "the group goes", async || {
        (app.sql_number("select count(*) from messaging_group_members").await == 0).then_some(())
    })
    .await;
    assert_eq!(app.get(&group).await.status, 404);
}
