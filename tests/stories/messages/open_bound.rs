//! How many messages of a tenant may be open.

use serde_json::{Value, json};

use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    in_both_modes:
    a_tenant_with_too_many_open_messages_is_told_so,
    a_broadcast_that_would_pass_the_bound_is_refused_whole;
);

fn later(recipient: &str) -> Value {
    let send_at = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    json!({
        "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": recipient, "message": "Ol\u{e1}", "sendAt": send_at,
    })
}

async fn a_tenant_with_too_many_open_messages_is_told_so(installation: Installation) {
    let app = TestApp::start_with(installation, &[("MAX_OPEN_PER_TENANT", "3")]).await;
    let mut ids = Vec::new();
    for recipient in ["a", "b", "c"] {
        let accepted = app.send(&later(recipient)).await;
        assert_eq!(accepted.status, 202, "{}", accepted.json());
        ids.push(accepted.message_id());
    }
    let refused = app.send(&later("d")).await;
    let body = refused.json();
    assert_eq!((refused.status, &body["type"]), (429, &json!("urn:correio:problem:too-many-open")), "{body}");
    assert_eq!((&body["open"], &body["limit"]), (&json!(3), &json!(3)), "{body}");
    assert_eq!(body["data"], json!({ "open": 3, "limit": 3 }), "{body}");
    let stats = app.get("/api/messaging/messages/stats").await.data();
    assert_eq!((&stats["open"], &stats["total"]), (&json!(3), &json!(3)), "nothing was stored: {stats}");

    // Another tenant has a bound of its own.
    let other = app.holder_of_a_key("outra", &["messages:write", "messages:read", "instances:write"]).await;
    assert_eq!(other.get("/api/messaging/messages/stats").await.data()["open"], json!(0));

    assert_eq!(app.post(&format!("/api/messaging/messages/{}/cancel", ids[0]), &json!({})).await.status, 200);
    assert_eq!(app.send(&later("d")).await.status, 202, "one has ended");
    assert_eq!(app.send(&later("e")).await.status, 429);
}

async fn a_broadcast_that_would_pass_the_bound_is_refused_whole(installation: Installation) {
    let app = TestApp::start_with(installation, &[("MAX_OPEN_PER_TENANT", "3")]).await;
    let broadcast = async |recipients: &[&str]| {
        let mut body = later("");
        body.as_object_mut().unwrap().remove("remoteJid");
        body["recipients"] = json!(recipients);
        app.post("/api/messaging/broadcasts", &body).await
    };
    let refused = broadcast(&["a", "b", "c", "d"]).await;
    assert_eq!((refused.status, &refused.json()["data"]), (429, &json!({ "open": 0, "limit": 3 })));
    let accepted = broadcast(&["a", "b"]).await;
    assert_eq!(accepted.status, 202, "{}", accepted.json());
    // Its messages are not made yet.
    let refused = broadcast(&["c", "d"]).await;
    assert_eq!((refused.status, &refused.json()["data"]), (429, &json!({ "open": 2, "limit": 3 })));
    assert_eq!(app.send(&later("c")).await.status, 202);
    assert_eq!(app.send(&later("d")).await.status, 429);
    let path = accepted.header("location").unwrap().to_owned();
    assert_eq!(app.post(&format!("{path}/cancel"), &json!({})).await.status, 200);
    assert_eq!(broadcast(&["e", "f"]).await.status, 202, "what was cancelled is not open");
}
