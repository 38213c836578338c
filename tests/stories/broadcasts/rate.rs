//! Broadcasts whose messages come due one after the other, so many a minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::sending::{AT_LAST, BROADCASTS, accepted, becomes_within, numbered, to};
use crate::support::eventually::eventually;
use crate::support::http_receiver::HttpReceiver;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_rate_is_a_whole_number_within_bounds_and_shown_as_given;
    on_both_databases:
    a_broadcast_with_a_rate_goes_on_at_it_where_its_process_has_died;
    on_every_queue:
    a_broadcast_with_a_rate_is_sent_slot_by_slot;
);

/// One in 100 ms.
const RATE: u32 = 600;
const INTERVAL: Duration = Duration::from_millis(100);

async fn to_hook(app: &TestApp, hook: &HttpReceiver, count: usize) -> Value {
    let instance = json!({ "channel": "webhook", "channelInstanceId": "campanha", "channelPhoneOrId": hook.url("/") });
    app.create_instance(&instance).await;
    json!({
        "channel": "webhook", "channelInstanceId": "campanha", "recipients": numbered(count), "message": "Olá!",
        "ratePerMinute": RATE,
    })
}

/// When each recipient was called first, in the order of the calls.
fn firsts(hook: &HttpReceiver) -> Vec<(String, Instant)> {
    let mut firsts = BTreeMap::<String, Instant>::new();
    for request in hook.received() {
        let recipient = request.json()["data"]["remoteJid"].as_str().expect("a recipient").to_owned();
        firsts.entry(recipient).or_insert(request.at);
    }
    let mut firsts: Vec<_> = firsts.into_iter().collect();
    firsts.sort_by_key(|(_, at)| *at);
    firsts
}

/// No more than have had their slots, which follow each other from the moment on at which it was sent.
fn none_is_early(firsts: &[(String, Instant)], since: Instant) {
    for (number, (recipient, at)) in (0..).zip(firsts) {
        // Its clock has milliseconds.
        let after = *at - since + Duration::from_millis(2);
        assert!(after >= INTERVAL * number, "{recipient} is the call {number}, and came after {after:?}");
    }
}

async fn a_broadcast_with_a_rate_is_sent_slot_by_slot(installation: Installation) {
    const COUNT: usize = 40;
    let hook = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    let body = to_hook(&app, &hook, COUNT).await;
    let since = Instant::now();
    let path = accepted(&app, &body).await;
    let begun = app.get(&path).await.data();
    assert_eq!(begun["ratePerMinute"], RATE);
    assert!(begun["expectedEndAt"].is_string(), "{begun}");
    let finished = becomes_within(AT_LAST, &app, &path, "finished").await;
    assert_eq!(finished["counts"]["sent"], COUNT, "{finished}");
    let firsts = firsts(&hook);
    assert_eq!((firsts.len(), hook.how_many()), (COUNT, COUNT), "each once");
    none_is_early(&firsts, since);
}

async fn a_broadcast_with_a_rate_goes_on_at_it_where_its_process_has_died(installation: Installation) {
    const COUNT: usize = 60;
    let hook = HttpReceiver::start().await;
    let settings = [("BROADCAST_AHEAD", "10"), ("NODE_TIMEOUT", "5s")];
    let mut app = TestApp::start_with(installation, &settings).await;
    let body = to_hook(&app, &hook, COUNT).await;
    let since = Instant::now();
    let path = accepted(&app, &body).await;
    eventually(AT_LAST, "some are sent", async || (hook.how_many() >= 15).then_some(())).await;
    app.kill9();
    let killed = hook.how_many();
    assert!(killed < COUNT, "{killed} were sent before it died");
    app.restart().await;
    let finished = becomes_within(AT_LAST, &app, &path, "finished").await;
    assert_eq!(finished["counts"]["sent"], COUNT, "{finished}");
    let rows = "select count(distinct remote_jid) from messaging_messages where status = 'sent'";
    let count = COUNT as i64;
    assert_eq!(
        (app.sql_number(rows).await, app.sql_number("select count(*) from messaging_messages").await),
        (count, count)
    );
    let firsts = firsts(&hook);
    assert_eq!(firsts.len(), COUNT);
    none_is_early(&firsts, since);
}

async fn a_rate_is_a_whole_number_within_bounds_and_shown_as_given(installation: Installation) {
    let app = TestApp::start(installation).await;
    let with = |rate: Value| {
        let mut body = to(&numbered(2), "Olá!");
        body["ratePerMinute"] = rate;
        body
    };
    for wrong in [json!(0), json!(1_000_001), json!(1.5), json!("20"), json!(-1)] {
        assert_eq!(app.post(BROADCASTS, &with(wrong.clone())).await.paths(), ["/ratePerMinute"], "{wrong}");
    }
    assert_eq!(app.sql_number("select count(*) from messaging_broadcasts").await, 0);
    for given in [json!(1_000_000), Value::Null] {
        let path = accepted(&app, &with(given.clone())).await;
        assert_eq!(app.get(&path).await.data()["ratePerMinute"], given);
        assert_eq!(becomes_within(AT_LAST, &app, &path, "finished").await["counts"]["sent"], 2);
    }
}
