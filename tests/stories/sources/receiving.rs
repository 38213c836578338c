//! Reports at `/sources/{path}`, with the examples of this repository and signed bodies.

use std::path::Path;

use async_compression::tokio::write::GzipEncoder;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt;

use crate::support::answered::Answered;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::run;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    each_example_takes_what_its_source_signs_and_nothing_else,
    a_file_with_mistakes_is_not_started_with;
    on_both_databases:
    a_report_is_checked_completed_and_stored_once;
);

const SECRET: &str = "c2VncmVkbw==";

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sources");
    folder.join(name).display().to_string()
}

fn mac(key: &[u8], text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_ref());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn start(installation: Installation, example: &str) -> TestApp {
    let secrets = [
        "GITHUB_SECRET",
        "STRIPE_SECRET",
        "SHOPIFY_SECRET",
        "META_APP_SECRET",
        "META_VERIFY_TOKEN",
        "STANDARD_SECRET",
        "ERP_PASSWORD",
    ];
    let file = file(example);
    let mut settings: Vec<(&str, &str)> = secrets.iter().map(|name| (*name, SECRET)).collect();
    settings.extend([("CORREIO_CONFIG", file.as_str()), ("RATE_LIMITS", "false")]);
    TestApp::start_with(installation, &settings).await
}

/// Its name, the headers that its source sends, and the type of the event.
type Example = (&'static str, Vec<(&'static str, String)>, &'static str);

async fn report(app: &TestApp, path: &str, headers: &[(&str, String)], body: impl Into<reqwest::Body>) -> Answered {
    let nobody = app.nobody();
    let request = nobody.request(Method::POST, path).body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    nobody.call(request).await
}

/// A signature may be of the body as it was, or as it is on the way.
async fn what_is_compressed_or_half_a_character_is_taken(app: &TestApp, path: &str) {
    let body = "\u{feff}{\"action\": \"closed\", \"title\": \"a\\ud83d\"}";
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(body.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    let packed = encoder.into_inner();
    for (number, signed) in [mac(SECRET.as_bytes(), body), mac(SECRET.as_bytes(), &packed)].iter().enumerate() {
        let headers = [
            ("x-hub-signature-256", format!("sha256={}", hex(signed))),
            ("x-github-event", "issues".to_owned()),
            ("x-github-delivery", format!("packed-{number}")),
            ("content-encoding", "gzip".to_owned()),
        ];
        let answer = report(app, path, &headers, packed.clone()).await;
        assert!([200, 202].contains(&answer.status), "{}", answer.json());
        assert_eq!(answer.json()["type"], "github.issues.closed");
    }
    let stored = app.sql("select data from messaging_events where type = 'github.issues.closed'").await;
    assert_eq!(stored[0]["data"], "{\"action\": \"closed\", \"title\": \"a\\ufffd\"}");

    let wide: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let headers = [("x-hub-signature-256", format!("sha256={}", hex(&mac(SECRET.as_bytes(), &wide))))];
    let answer = report(app, path, &headers, wide).await;
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, detail.contains("UTF-16")), (400, true), "{detail}");
}

async fn each_example_takes_what_its_source_signs_and_nothing_else(installation: Installation) {
    let now = chrono::Utc::now().timestamp();
    let body = r#"{"action": "opened", "type": "charge.succeeded", "id": "evt_1", "object": "page", "n": 1.50}"#;
    let key = STANDARD.decode(SECRET).unwrap();
    let plain = mac(SECRET.as_bytes(), body);
    let github = ("x-hub-signature-256", format!("sha256={}", hex(&plain)));
    let stripe = format!("t={now},v1={}", hex(&mac(SECRET.as_bytes(), format!("{now}.{body}"))));
    let standard = format!("v1,{}", STANDARD.encode(mac(&key, format!("m-1.{now}.{body}"))));
    let examples: Vec<Example> = vec![
        (
            "github",
            vec![github.clone(), ("x-github-event", "issues".to_owned()), ("x-github-delivery", "d-1".to_owned())],
            "github.issues.opened",
        ),
        ("stripe", vec![("stripe-signature", stripe)], "stripe.charge.succeeded"),
        (
            "shopify",
            vec![("x-shopify-hmac-sha256", STANDARD.encode(&plain)), ("x-shopify-topic", "orders/create".to_owned())],
            "shopify.orders/create",
        ),
        ("meta", vec![github], "meta.page"),
        (
            "standard-webhooks",
            vec![
                ("webhook-id", "m-1".to_owned()),
                ("webhook-timestamp", now.to_string()),
                ("webhook-signature", standard),
            ],
            "charge.succeeded",
        ),
    ];
    let mut installation = Some(installation);
    let mut running: Option<TestApp> = None;
    for (example, headers, kind) in examples {
        let app = match running.take() {
            None => start(installation.take().unwrap(), &format!("{example}.toml")).await,
            Some(mut app) => {
                app.terminate();
                app.exited().await;
                app.set("CORREIO_CONFIG", &file(&format!("{example}.toml")));
                app.restart().await;
                app
            }
        };
        let path = format!("/sources/{}", example.split('-').next().unwrap());
        let answer = report(&app, &path, &headers, body).await;
        assert!([200, 202].contains(&answer.status), "{example}: {}", answer.json());
        assert_eq!((&answer.json()["type"], &answer.json()["duplicate"]), (&json!(kind), &json!(false)), "{example}");
        for (headers, body) in [(vec![], body), (headers.clone(), "{}")] {
            let refused = report(&app, &path, &headers, body).await;
            assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"), "{example}");
        }
        if example == "github" {
            what_is_compressed_or_half_a_character_is_taken(&app, &path).await;
        }
        if example == "meta" {
            let asked = |token: &str| format!("{path}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=42");
            let right = app.nobody().get(&asked("c2VncmVkbw%3D%3D")).await;
            assert_eq!((right.status, right.body.as_slice()), (200, b"42".as_slice()));
            assert_eq!(app.nobody().get(&asked("other")).await.status, 403);
            let again = report(&app, &path, &headers, body).await;
            assert_eq!((&again.json()["id"], &again.json()["duplicate"]), (&answer.json()["id"], &json!(true)));
        }
        let stored = app.sql(&format!("select data from messaging_events where type = '{kind}'")).await;
        if example != "shopify" {
            assert_eq!(stored, [json!({ "data": body })], "{example}: byte for byte");
        }
        assert_eq!(report(&app, "/sources/nothing", &[], "{}").await.status, 404);
        running = Some(app);
    }
}

async fn a_report_is_checked_completed_and_stored_once(installation: Installation) {
    let app = start(installation, "erp.toml").await;
    let basic =
        |password: &str| vec![("authorization", format!("Basic {}", STANDARD.encode(format!("erp:{password}"))))];
    let order = r#"{"filial": "02", "pedido": {"numero": 77}}"#;
    assert_eq!(report(&app, "/sources/erp", &basic("errada"), order).await.status, 401);
    let taken = report(&app, "/sources/erp", &basic(SECRET), order).await;
    assert_eq!((taken.status, taken.json()), (200, json!({ "ok": true, "id": "77" })));
    assert_eq!(report(&app, "/sources/erp", &basic(SECRET), order).await.json()["id"], "77");
    assert_eq!(app.sql_number("select count(*) from messaging_events").await, 1);
    for last in ["a", "b", "b"] {
        let long = format!(r#"{{"filial": "02", "pedido": {{"numero": 1}}, "id": "{}{last}"}}"#, "x".repeat(300));
        let taken = report(&app, "/sources/erp", &basic(SECRET), long.as_str().to_owned()).await;
        assert!(taken.json()["id"].as_str().is_some_and(|id| id.starts_with("sha256:")), "{}", taken.json());
    }
    let long = "select count(*) from messaging_events where name like 'sha256:%'";
    assert_eq!(app.sql_number(long).await, 2, "two that begin alike are two");
    let event = app.get("/events/77").await.json();
    assert_eq!((&event["source"], &event["type"]), (&json!("erp"), &json!("pedido")));
    let data: &Value = &event["data"];
    assert_eq!((&data["loja"], &data["origem"], &data["filial"]), (&json!("Praia"), &json!("erp"), &json!("02")));
    assert!(data["recebido"].is_string());

    let wrong = report(&app, "/sources/erp", &basic(SECRET), r#"{"filial": 2, "pedido": {}}"#).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (422, "invalid-field"));
    let paths = wrong.paths();
    assert!(paths.contains(&"/filial".to_owned()) && paths.contains(&"/pedido".to_owned()), "{paths:?}");
    assert_eq!(report(&app, "/sources/erp", &basic(SECRET), "not JSON").await.status, 400);
    assert_eq!(app.correio(&["sources", "list"]).await.lines().nth(1), Some("erp\t/sources/erp\tdefault\tbasic"));
    let tail = app.correio(&["events", "tail"]).await;
    assert!(tail.lines().any(|line| line.ends_with("\tpedido\terp\t77")), "{tail}");
}

async fn a_file_with_mistakes_is_not_started_with(installation: Installation) {
    let directory = installation.directory.path();
    std::fs::write(directory.join("correio.toml"), "[[sources]]\nname = \"a\"\nauth = \"pombo\"\ntype = \"x\"\n")
        .unwrap();
    let environment = [installation.environment(), vec![("PORT".to_owned(), "0".to_owned())]].concat();
    let output = run(directory, &environment, &[]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("CORREIO_CONFIG") && said.contains("line 3") && said.contains("`auth` must be"), "{said}");
}
