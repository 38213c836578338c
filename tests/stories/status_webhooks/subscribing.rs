//! Making, changing and trying subscriptions.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{PATH, path_of, signed_by, subscribes};
use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver, closed_port};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_is_wrong_with_a_subscription_is_said_of_all_its_members,
    a_subscriber_is_tried_at_once_and_within_the_time_of_a_caller;
    on_both_databases:
    a_subscription_is_made_read_changed_and_deleted_by_its_tenant_alone,
    a_secret_that_is_replaced_signs_beside_the_new_one,
    there_are_a_hundred_at_the_most;
);

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";

async fn a_subscription_is_made_read_changed_and_deleted_by_its_tenant_alone(installation: Installation) {
    let app = TestApp::start(installation).await;
    let made = subscribes(&app, &json!({"url": "https://example.com/estados"})).await;
    assert_eq!(made["states"], json!(["sent", "delivered", "read", "failed", "cancelled"]));
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_") && made["channelInstanceId"].is_null(), "{made}");
    let narrow = json!({
        "url": "https://example.com/2", "secret": OLD, "states": ["failed", "sent"], "channelInstanceId": "loja"
    });
    let narrow = subscribes(&app, &narrow).await;
    assert_eq!((&narrow["states"], &narrow["secret"]), (&json!(["sent", "failed"]), &Value::Null));

    let mut first = made.clone();
    first.as_object_mut().unwrap().remove("secret");
    assert_eq!(app.get(PATH).await.data(), json!([first, narrow]));
    assert_eq!(app.get(&path_of(&made)).await.data(), first);
    let change = json!({"url": "https://example.com/3", "states": null, "channelInstanceId": null});
    let changed = app.patch(&path_of(&narrow), &change).await;
    assert_eq!(changed.status, 200, "{}", changed.json());
    let changed = changed.data();
    assert_eq!((&changed["url"], &changed["states"]), (&json!("https://example.com/3"), &first["states"]));
    assert!(changed["channelInstanceId"].is_null() && changed.get("secret").is_none(), "{changed}");
    let renewed = app.patch(&path_of(&narrow), &json!({"secret": null})).await.data();
    assert!(renewed["secret"].as_str().unwrap().starts_with("whsec_"), "{renewed}");

    let globex = app.holder_of_a_key("globex", &["instances:read", "instances:write"]).await;
    assert_eq!(globex.get(PATH).await.data(), json!([]));
    let path = path_of(&made);
    for answer in [
        globex.get(&path).await,
        globex.patch(&path, &json!({"secret": null})).await,
        globex.delete(&path).await,
        globex.post(&format!("{path}/test"), &json!({})).await,
        app.get(&format!("{PATH}/nonsense")).await,
    ] {
        assert_eq!((answer.status, answer.problem()), (404, "unknown-subscription".to_owned()));
    }
    let reader = app.holder_of_a_key("globex", &["instances:read", "messages:write"]).await;
    assert_eq!(reader.post(PATH, &json!({"url": "https://example.com"})).await.status, 403);
    assert_eq!(app.delete(&path).await.status, 204);
    assert_eq!(app.delete(&path).await.status, 404);
    assert_eq!(app.get(PATH).await.data().as_array().unwrap().len(), 1);
}

async fn what_is_wrong_with_a_subscription_is_said_of_all_its_members(installation: Installation) {
    let app = TestApp::start_with(installation, &[("CHANNELS_BLOCK_PRIVATE", "true")]).await;
    let paths = async |body: Value| {
        let answer = app.post(PATH, &body).await;
        assert_eq!(answer.status, 422, "{}", answer.json());
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(json!({})).await, ["/url"]);
    assert_eq!(paths(json!({"url": "ftp://x", "secret": "short"})).await, ["/url", "/secret"]);
    assert_eq!(paths(json!({"url": "http://127.0.0.1:1/"})).await, ["/url"], "as of every webhook");
    let states = json!({"url": "https://example.com", "states": ["queued"], "channelInstanceId": "", "more": 1});
    assert_eq!(paths(states).await.len(), 3);
    assert_eq!(paths(json!({"url": "https://example.com", "states": []})).await, ["/states"]);
    let made = subscribes(&app, &json!({"url": "https://example.com"})).await;
    for (change, path) in [
        (json!({"url": null}), "/url"),
        (json!({"url": "http://10.0.0.1/"}), "/url"),
        (json!({"secret": "whsec_"}), "/secret"),
        (json!({"states": ["sent", "processing"]}), "/states"),
    ] {
        let answer = app.patch(&path_of(&made), &change).await;
        assert_eq!(answer.status, 422, "{change}");
        assert_eq!(answer.json()["errors"][0]["path"], path, "{change}");
    }
}

async fn a_secret_that_is_replaced_signs_beside_the_new_one(installation: Installation) {
    let app = TestApp::start_with(installation, &[("SECRET_OVERLAP", "1h")]).await;
    let receiver = HttpReceiver::start().await;
    let made = subscribes(&app, &json!({"url": receiver.url("/"), "secret": OLD})).await;
    assert_eq!(app.patch(&path_of(&made), &json!({"secret": NEW})).await.status, 200);
    app.bring_to_its_end(&to_sandbox("5585")).await;
    let request = eventually(SOON, "it is told", async || receiver.received().pop()).await;
    assert_eq!(signed_by(&request, &[OLD, NEW]), [1, 0], "the new one first");
    assert_eq!(app.post(&format!("{}/test", path_of(&made)), &json!({})).await.status, 200);
    assert_eq!(signed_by(&receiver.received().pop().unwrap(), &[OLD, NEW]), [1, 0]);

    // Of two at the same time none is lost: the later one signs, and the others beside it.
    let path = path_of(&made);
    let given: Vec<Value> = (0..2).map(|_| json!({"secret": null})).collect();
    let both = join_all(given.iter().map(|change| app.patch(&path, change))).await;
    let revealed: Vec<String> =
        both.iter().map(|answer| answer.data()["secret"].as_str().unwrap().to_owned()).collect();
    receiver.forget();
    assert_eq!(app.post(&format!("{path}/test"), &json!({})).await.status, 200);
    let mut signed = signed_by(&receiver.only(), &[OLD, NEW, &revealed[0], &revealed[1]]);
    signed.sort_unstable();
    assert_eq!(signed, [0, 1, 2, 3]);
}

async fn a_subscriber_is_tried_at_once_and_within_the_time_of_a_caller(installation: Installation) {
    let app = TestApp::start_with(installation, &[("DIRECT_TIMEOUT", "1s")]).await;
    let receiver = HttpReceiver::start().await;
    let made = subscribes(&app, &json!({"url": receiver.url("/"), "secret": OLD})).await;
    let path = format!("{}/test", path_of(&made));
    let tried = app.post(&path, &json!({})).await;
    assert_eq!((tried.status, tried.data()), (200, json!({"delivered": true, "httpStatus": 200})));
    let request = receiver.only();
    assert_eq!((&request.json()["type"], &request.json()["data"]["subscriptionId"]), (&json!("test"), &made["id"]));
    assert_eq!(signed_by(&request, &[OLD]), [0]);

    receiver.next(Answer::new(410, "gone"));
    let refused = app.post(&path, &json!({})).await;
    assert_eq!((refused.status, refused.problem()), (502, "channel-failed".to_owned()));
    assert!(refused.json()["error"].as_str().unwrap().contains("410"), "{}", refused.json());
    receiver.next(Answer::new(200, "").after(Duration::from_secs(10)));
    let began = std::time::Instant::now();
    assert_eq!(app.post(&path, &json!({})).await.status, 502);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let nobody = format!("http://{}/", closed_port().await);
    assert_eq!(app.patch(&path_of(&made), &json!({"url": nobody})).await.status, 200);
    assert_eq!(app.post(&path, &json!({})).await.status, 502);
    assert_eq!(app.get("/api/messaging/messages?purpose=status").await.data(), json!([]), "it is no message");
}

async fn there_are_a_hundred_at_the_most(installation: Installation) {
    let app = TestApp::start(installation).await;
    let body = json!({"url": "https://example.com/estados"});
    let made = join_all((0..110).map(|_| app.post(PATH, &body))).await;
    let made = made.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((made, app.get(PATH).await.data().as_array().unwrap().len()), (100, 100));
    let more = app.post(PATH, &body).await;
    assert_eq!((more.status, more.problem()), (409, "conflict".to_owned()));
}
