//! Reports that are larger than what is taken: a provider that is refused says them again and again, and may hold back others.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::eventually::{SOON, eventually};
use crate::support::evolution::{FakeEvolution, GLOBAL_KEY};
use crate::support::free_port::free_port;
use crate::support::installation::Installation;
use crate::support::meta::{ACCESS_TOKEN, FakeMeta, change, post_signed, report, status};
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_report_that_is_too_large_is_passed_over_and_the_next_one_is_taken;
);

const SECRET: &str = "5e1f0c3a9b7d4e2f8a6c1b3d5e7f9a0b";
const NUMBER: &str = "106540352242922";
const MOST: &str = "20000";

async fn a_report_that_is_too_large_is_passed_over_and_the_next_one_is_taken(installation: Installation) {
    let port = free_port().to_string();
    let public_url = format!("http://127.0.0.1:{port}");
    let settings = [("PORT", port.as_str()), ("PUBLIC_URL", public_url.as_str()), ("MAX_BODY_BYTES", MOST)];
    let app = TestApp::start_with(installation, &settings).await;
    let (evolution, meta) = (FakeEvolution::start().await, FakeMeta::start().await);
    let instance = json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "shop", "channelPhoneOrId": "5585988888888",
        "credentials": {"url": evolution.base_url, "apiToken": GLOBAL_KEY},
    });
    assert_eq!(app.post("/api/messaging/instance", &instance).await.status, 201);
    evolution.becomes("shop", "open");
    let open = json!({"state": "open", "statusReason": 200});
    assert_eq!(evolution.report("shop", "connection.update", open).await, 200);
    let large = json!({"base64": "x".repeat(30_000)});
    assert_eq!(evolution.report("shop", "messages.edited", large.clone()).await, 200);
    let guess = app.nobody().request(Method::POST, "/api/messaging/webhook/shop").header("x-correio-secret", "guess");
    assert_eq!(app.call(guess.json(&large)).await.status, 401);

    let instance = json!({
        "channel": "whatsapp_oficial", "channelInstanceId": "loja", "channelPhoneOrId": NUMBER,
        "credentials": {
            "accessToken": ACCESS_TOKEN, "appSecret": SECRET, "verifyToken": "token", "baseUrl": meta.base_url,
        },
    });
    app.create_instance(&instance).await;
    let text = json!({
        "channel": "whatsapp_oficial", "channelInstanceId": "loja", "remoteJid": "5585999999999", "message": "Olá!"
    });
    let message = app.sent(&text).await;
    let delivered = status(message["channelMessageId"].as_str().unwrap(), "delivered");
    let mut padded: Value = delivered.clone();
    padded["padding"] = json!("x".repeat(30_000));
    for path in ["loja", "meta"] {
        let large = report(&[&[change(NUMBER, std::slice::from_ref(&padded))]]);
        assert_eq!(post_signed(&app, path, SECRET, &large).await, 200, "{path}");
        assert_eq!(post_signed(&app, path, &SECRET.replace('5', "6"), &large).await, 401, "{path}");
    }
    eventually(SOON, "the log says so", async || {
        let says = |line: &&String| line.contains("larger than MAX_BODY_BYTES");
        (app.log().iter().filter(says).count() == 2).then_some(())
    })
    .await;
    let id = message["id"].as_str().unwrap();
    assert_eq!(app.sql_status(id).await, "sent", "it was passed over");
    let report = report(&[&[change(NUMBER, &[delivered])]]);
    assert_eq!(post_signed(&app, "loja", SECRET, &report).await, 200);
    eventually(SOON, "the next is taken", async || (app.sql_status(id).await == "delivered").then_some(())).await;
}
