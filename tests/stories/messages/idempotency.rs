use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use serde_json::json;

use crate::support::caller::{REFUSED, TRANSIENT, to_sandbox};
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::HttpReceiver;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_key_must_be_given_once_and_be_visible_ascii;
    on_both_databases:
    another_body_under_the_same_key_is_refused,
    a_request_refused_before_it_has_a_row_leaves_no_key;
    on_every_queue:
    the_same_key_and_body_get_the_first_answer_again,
    a_failure_is_replayed_as_it_was;
    on_every_installation:
    a_thousand_concurrent_sends_with_two_hundred_duplicate_keys_are_eight_hundred_deliveries;
    in_direct_mode:
    a_key_is_in_flight_until_its_message_ends,
    a_message_that_was_cancelled_is_not_said_to_have_failed;
    in_kafka_mode:
    a_key_is_never_in_flight;
);

async fn the_same_key_and_body_get_the_first_answer_again(installation: Installation) {
    let app = TestApp::start(installation).await;
    let first = app.send_once("pedido-1", &to_sandbox("5585999999999")).await;
    let id = app.accepted(&first);
    assert_eq!(first.header("idempotent-replay"), None);

    app.ended(&id).await;
    let second = app.send_once("pedido-1", &to_sandbox("5585999999999")).await;
    assert_eq!((second.status, second.header("idempotent-replay")), (first.status, Some("true")));
    assert_eq!(second.body, first.body);
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 1);
}

async fn a_failure_is_replayed_as_it_was(installation: Installation) {
    let app = TestApp::start(installation).await;
    for (recipient, failure) in [("fail-transient", TRANSIENT), ("fail-permanent", REFUSED)] {
        let first = app.send_once(recipient, &to_sandbox(recipient)).await;
        let status = if app.waits() { failure.status } else { 202 };
        assert_eq!((first.status, first.header("idempotent-replay")), (status, None), "{}", first.json());
        app.ended(&first.message_id()).await;
        let second = app.send_once(recipient, &to_sandbox(recipient)).await;
        assert_eq!((second.status, second.header("idempotent-replay")), (status, Some("true")));
        assert_eq!(second.json(), first.json());
        assert_eq!(app.message(&first.message_id()).await["retries"], app.tries(failure), "it was not tried again");
    }
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 2);
}

async fn another_body_under_the_same_key_is_refused(installation: Installation) {
    let app = TestApp::start(installation).await;
    app.accepted(&app.send_once("pedido-1", &to_sandbox("5585999999999")).await);
    let other = app.send_once("pedido-1", &to_sandbox("5585988888888")).await;
    assert_eq!((other.status, other.problem().as_str()), (422, "key-reused"));
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 1);
}

/// It was taken over before its caller had an answer, and cancelled then.
async fn a_message_that_was_cancelled_is_not_said_to_have_failed(installation: Installation) {
    let app = TestApp::start(installation).await;
    let id = app.accepted(&app.send_once("pedido-1", &to_sandbox("5585999999999")).await);
    app.sql(&format!("update messaging_messages set status = 'cancelled', sent_at = null where id = '{id}'")).await;
    let again = app.send_once("pedido-1", &to_sandbox("5585999999999")).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "conflict"));
    assert_eq!(again.json()["detail"], "The message was cancelled.");
}

async fn a_key_is_in_flight_until_its_message_ends(installation: Installation) {
    let app = TestApp::start(installation).await;
    let body = to_sandbox("slow-2000ms");
    let first = async { app.send_once("pedido-1", &body).await };
    let second = async {
        eventually(SOON, "the message has its row", async || {
            let rows = app.sql_number("select count(*) from messaging_messages").await;
            (rows == 1).then_some(())
        })
        .await;
        let early = app.send_once("pedido-1", &body).await;
        assert_eq!((early.status, early.problem().as_str()), (409, "in-flight"), "{}", early.json());
        assert!(early.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.status, 200, "{}", first.json());

    let late = app.send_once("pedido-1", &body).await;
    assert_eq!((late.status, late.header("idempotent-replay")), (200, Some("true")));
    assert_eq!(late.body, first.body);
}

async fn a_key_is_never_in_flight(installation: Installation) {
    let app = TestApp::start(installation).await;
    let body = to_sandbox("slow-1500ms");
    let first = app.send_once("pedido-1", &body).await;
    let id = app.accepted(&first);
    eventually(SOON, "it is processing", async || (app.sql_status(&id).await == "processing").then_some(())).await;
    let early = app.send_once("pedido-1", &body).await;
    assert_eq!((early.status, early.header("idempotent-replay")), (202, Some("true")), "{}", early.json());
    assert_eq!(early.body, first.body);
}

async fn a_key_must_be_given_once_and_be_visible_ascii(installation: Installation) {
    let app = TestApp::start(installation).await;
    let longest = "k".repeat(255);
    app.accepted(&app.send_once(&longest, &to_sandbox("5585999999999")).await);
    for key in ["", "pedido 1", "açaí", &"k".repeat(256)] {
        let answer = app.send_once(key, &to_sandbox("5585999999999")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-key"), "{key:?}");
    }
    let twice = app.request(reqwest::Method::POST, "/api/messaging/message/send").json(&to_sandbox("5585999999999"));
    let answer = app.call(twice.header("idempotency-key", "a").header("idempotency-key", "b")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-key"));
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 1);
}

async fn a_request_refused_before_it_has_a_row_leaves_no_key(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut body = to_sandbox("5585999999999");
    body["channelInstanceId"] = "not-yet".into();
    assert_eq!(app.send_once("pedido-1", &body).await.problem(), "unknown-instance");
    let created = json!({ "channel": "sandbox", "channelInstanceId": "not-yet", "channelPhoneOrId": "x" });
    app.create_instance(&created).await;

    let answer = app.send_once("pedido-1", &body).await;
    app.accepted(&answer);
    assert_eq!(answer.header("idempotent-replay"), None);
}

async fn a_thousand_concurrent_sends_with_two_hundred_duplicate_keys_are_eight_hundred_deliveries(
    installation: Installation,
) {
    const SENDS: usize = 1000;
    const DISTINCT: usize = 800;

    let app = TestApp::start(installation).await;
    let receiver = HttpReceiver::start().await;
    app.create_instance(&json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": receiver.url("/hook"),
    }))
    .await;
    // Each duplicate comes right after its first, so that they meet.
    let mut keys: Vec<usize> = (0..DISTINCT).chain(0..SENDS - DISTINCT).collect();
    keys.sort_unstable();
    let sends = keys.into_iter().map(|key| {
        let caller = app.caller();
        async move {
            let payload = json!({ "pedido": key });
            let loja = format!("loja-{}", key % 50);
            let body = json!({
                "channel": "webhook", "channelInstanceId": "pedidos", "remoteJid": loja, "payload": payload,
            });
            (key, caller.send_once(&format!("pedido-{key}"), &body).await)
        }
    });
    let answers: Vec<_> = futures::stream::iter(sends).buffer_unordered(250).collect().await;
    assert_eq!(answers.len(), SENDS);

    let mut ids: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut firsts = 0;
    for (key, answer) in &answers {
        match (answer.status, answer.header("idempotent-replay")) {
            (200 | 202, replay) => {
                app.accepted(answer);
                firsts += usize::from(replay.is_none());
                ids.entry(*key).or_default().insert(answer.message_id());
            }
            (409, _) if app.waits() => assert_eq!(answer.problem(), "in-flight"),
            _ => panic!("{key}: {} {}", answer.status, answer.json()),
        }
    }
    assert_eq!(firsts, DISTINCT, "each key was answered for the first time once");
    assert_eq!(ids.len(), DISTINCT);
    assert!(ids.values().all(|ids| ids.len() == 1), "a key names one message");

    eventually(SOON, "all are sent", async || {
        let sent = app.sql_number("select count(*) from messaging_messages where status = 'sent'").await;
        (sent == 800).then_some(())
    })
    .await;
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 800);
    assert_eq!(app.sql_number("select count(*) from messaging_idempotency_keys").await, 800);
    let received = receiver.received();
    let distinct: BTreeSet<Vec<u8>> = received.iter().map(|request| request.body.clone()).collect();
    assert_eq!((received.len(), distinct.len()), (DISTINCT, DISTINCT));
    let stats = app.get("/api/messaging/messages/stats").await.data();
    assert_eq!((&stats["sent"], &stats["total"]), (&json!(800), &json!(800)));
}
