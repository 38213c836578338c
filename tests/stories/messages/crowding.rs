//! What the messages of one instance, or of one tenant, leave to the others.

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::answered::Answered;
use crate::support::caller::{Caller, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    in_direct_mode:
    an_instance_that_hangs_leaves_places_to_the_others,
    a_tenant_whose_instances_hang_leaves_places_to_the_others;
);

const PENDING: &str = "select count(*) from messaging_messages where status = 'pending'";
const ALL: &str = "select count(*) from messaging_messages";

/// Of eight places an instance has two, and a tenant four.
const EIGHT: [(&str, &str); 1] = [("MAX_IN_FLIGHT", "8")];

/// A recipient of its own each time, for whom its channel takes a while.
fn hang(caller: &Caller, instance: &str, number: usize, waiting: &mut JoinSet<Answered>) {
    let mut body = to_sandbox(&format!("slow-8000ms-{number}"));
    body["channelInstanceId"] = json!(instance);
    let request = caller.request(Method::POST, "/api/messaging/message/send").json(&body);
    let caller = caller.clone();
    waiting.spawn(async move { caller.call(request).await });
}

async fn until_so_many_wait(app: &TestApp, expected: i64) {
    let what = format!("{expected} messages are being delivered");
    eventually(SOON, &what, async || (app.sql_number(PENDING).await == expected).then_some(())).await;
}

fn assert_is_busy(answer: &Answered, title: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{}", answer.json());
    assert_eq!((answer.header("retry-after"), &answer.json()["title"]), (Some("2"), &json!(title)));
}

async fn all_are_sent(mut waiting: JoinSet<Answered>) {
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}

async fn an_instance_that_hangs_leaves_places_to_the_others(installation: Installation) {
    let app = TestApp::start_with(installation, &EIGHT).await;
    for name in ["loja-1", "loja-2"] {
        app.create_instance(&json!({
            "channel": "sandbox", "channelInstanceId": name, "channelPhoneOrId": "5585988888888",
        }))
        .await;
    }
    let mut waiting = JoinSet::new();
    for number in 0..2 {
        hang(&app.caller(), "loja-1", number, &mut waiting);
    }
    until_so_many_wait(&app, 2).await;
    let mut body = to_sandbox("5585999999999");
    body["channelInstanceId"] = json!("loja-1");
    let refused = app.send(&body).await;
    assert_is_busy(&refused, "The instance is busy");
    assert_eq!(app.sql_number(ALL).await, 2, "nothing of it is stored");
    // What is for later keeps no caller waiting.
    body["sendAt"] = json!("2999-01-01T00:00:00Z");
    assert_eq!(app.send(&body).await.paths(), ["/sendAt"]);
    body["channelInstanceId"] = json!("loja-2");
    body.as_object_mut().unwrap().remove("sendAt");
    assert_eq!(app.send(&body).await.status, 200);
    all_are_sent(waiting).await;
    body["channelInstanceId"] = json!("loja-1");
    assert_eq!(app.send(&body).await.status, 200);
}

async fn a_tenant_whose_instances_hang_leaves_places_to_the_others(installation: Installation) {
    let app = TestApp::start_with(installation, &EIGHT).await;
    let other = app.holder_of_a_key("acme", &["messages:write", "instances:write"]).await;
    let instance =
        |name: &str| json!({ "channel": "sandbox", "channelInstanceId": name, "channelPhoneOrId": "5585988888888" });
    for name in ["loja-1", "loja-2", "loja-3"] {
        app.create_instance(&instance(name)).await;
    }
    other.create_instance(&instance("sandbox")).await;
    let mut waiting = JoinSet::new();
    for number in 0..4 {
        hang(&app.caller(), if number < 2 { "loja-1" } else { "loja-2" }, number, &mut waiting);
    }
    until_so_many_wait(&app, 4).await;
    let mut body = to_sandbox("5585999999999");
    body["channelInstanceId"] = json!("loja-3");
    assert_is_busy(&app.send(&body).await, "The tenant is busy");
    assert_eq!(other.send(&to_sandbox("5585999999999")).await.status, 200);
    all_are_sent(waiting).await;
    assert_eq!(app.send(&body).await.status, 200);
}
