//! The little that a receiver of webhooks refuses.

use async_compression::tokio::write::GzipEncoder;
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::crm_client;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_says_not_what_it_is_about_is_refused_in_the_words_that_are_known,
    whatever_its_type_a_body_is_taken,
    whatever_its_compression_and_its_charset_a_body_is_taken,
    a_secret_keeps_others_out,
    a_receiver_can_be_switched_off,
    a_full_spool_is_said;
);

const NO_META: &str = "❌ Meta dados inválidos ou ausentes";

async fn what_says_not_what_it_is_about_is_refused_in_the_words_that_are_known(installation: Installation) {
    let app = TestApp::start(installation).await;
    for body in ["", "{", "[]", "{\"meta\": {\"action\": \"added\"}}", "{\"meta\": {\"entity\": \"deal\"}}"] {
        let answer = app.nobody().post_bytes("/webhook", "application/json", body.as_bytes().to_vec()).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, NO_META), "{body}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    }
}

async fn whatever_its_type_a_body_is_taken(installation: Installation) {
    let app = TestApp::start(installation).await;
    let [deal, ..] = crm_client::posts();
    let large = json!({"meta": deal["meta"], "current": {"note": "x".repeat(900_000)}});
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "image/png"] {
        for body in [&deal, &large] {
            let answer = app.nobody().post_bytes("/webhook", content_type, body.to_string().into_bytes()).await;
            assert_eq!(answer.status, 202, "{content_type}: {}", answer.text());
        }
    }
    let too_large = vec![b' '; 1_048_577];
    assert_eq!(app.nobody().post_bytes("/webhook", "application/json", too_large).await.status, 413);
}

async fn whatever_its_compression_and_its_charset_a_body_is_taken(installation: Installation) {
    let app = TestApp::start(installation).await;
    let text = json!({"meta": {"entity": "deal", "action": "added"}, "data": {"name": "José"}}).to_string();
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(text.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let latin = text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect::<Vec<u8>>();
    let posts = [
        ("gzip", "application/json", encoder.into_inner()),
        // What is said of it is wrong, or not known here.
        ("gzip", "application/json", text.clone().into_bytes()),
        ("compress", "application/json", text.clone().into_bytes()),
        ("identity", "application/json", utf16),
        ("identity", "application/json; charset=iso-8859-1", latin),
    ];
    for (coding, content_type, body) in posts {
        let request = app.request(Method::POST, "/webhook").header("content-type", content_type);
        let answer = app.call(request.header("content-encoding", coding).body(body)).await;
        assert_eq!(answer.status, 202, "{coding} {content_type}: {}", answer.text());
        let name = answer.json()["webhookId"].as_str().unwrap().to_owned();
        let rows = app.sql(&format!("select data from messaging_events where name = '{name}'")).await;
        assert!(rows[0]["data"].as_str().unwrap().contains("José"), "{coding} {content_type}: {rows:?}");
    }
}

async fn a_secret_keeps_others_out(installation: Installation) {
    let secret = "a-secret-of-the-crm";
    let app = TestApp::start_with(installation, &[("WEBHOOK_SECRET", secret)]).await;
    let [deal, ..] = crm_client::posts();
    for path in ["/webhook", "/webhook/another-secret-of-it"] {
        assert_eq!(app.nobody().post(path, &deal).await.status, 401, "{path}");
    }
    assert_eq!(app.nobody().post(&format!("/webhook/{secret}"), &deal).await.status, 202);
    assert_eq!(app.with_basic("crm", secret).post("/webhook", &deal).await.status, 202);
    assert_eq!(app.with_basic("crm", "wrong").post("/webhook", &deal).await.status, 401);
}

async fn a_receiver_can_be_switched_off(installation: Installation) {
    let app = TestApp::start_with(installation, &[("WEBHOOK_ENABLED", "false")]).await;
    let [deal, ..] = crm_client::posts();
    assert_eq!(app.nobody().post("/webhook", &deal).await.status, 404);
    assert_eq!(app.nobody().get("/stats").await.status, 200);
}

async fn a_full_spool_is_said(installation: Installation) {
    let settings = [("EMERGENCY_MODE", "true"), ("SPOOL_MAX_BYTES", "65536")];
    let app = TestApp::start_with(installation, &settings).await;
    let [deal, ..] = crm_client::posts();
    let large = json!({"meta": deal["meta"], "current": {"note": "x".repeat(30_000)}});
    for _ in 0..2 {
        assert_eq!(app.nobody().post("/webhook", &large).await.status, 202);
    }
    let health = app.nobody().get("/health").await.json();
    assert!(health["spool"]["troubles"][0].as_str().unwrap().contains("SPOOL_MAX_BYTES"), "{health}");
    let answer = app.nobody().post("/webhook", &large).await;
    assert_eq!((answer.status, &answer.json()["status"]), (503, &json!("error")));
    assert!(answer.json()["webhookId"].is_string() && answer.json()["message"].is_string());
    // A bound that the next event does not fit below.
    let small = json!({"meta": deal["meta"], "current": {"note": "x".repeat(200)}});
    while app.nobody().post("/webhook", &small).await.status == 202 {}
    let health = app.nobody().get("/health").await;
    assert_eq!((health.status, &health.json()["status"]), (503, &json!("unhealthy")), "{}", health.text());
}
