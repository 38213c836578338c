use std::time::{Duration, Instant};

use async_compression::tokio::bufread::GzipEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::{BOOTSTRAP_KEY, TestApp};

stories!(
    on_one_installation:
    what_is_not_json_is_malformed,
    a_body_must_be_said_to_be_json,
    a_body_is_utf8_with_or_without_a_mark,
    an_empty_key_beside_a_token_is_passed_over,
    a_request_may_have_many_headers,
    a_body_that_is_too_large_is_refused_before_it_is_sent,
    what_was_packed_for_the_way_is_unpacked,
    every_problem_of_a_message_is_told_at_once,
    a_nul_is_refused_wherever_it_is,
    parameters_that_a_route_does_not_have_are_refused,
    unknown_routes_ids_and_methods_are_told_apart,
    every_answer_has_a_request_id_and_a_sane_one_is_kept;
    on_both_databases:
    json_may_be_nested_one_hundred_and_twenty_seven_levels_deep,
    a_body_over_the_limit_gets_an_answer_that_can_be_read;
    only_on_postgres:
    a_database_that_is_away_is_waited_for;
);

const SEND: &str = "/api/messaging/message/send";

async fn what_is_not_json_is_malformed(installation: Installation) {
    let app = TestApp::start(installation).await;
    for body in
        ["", "{", "nonsense", "{\"channel\": \"sandbox\",}", "{} {}", "\u{feff}\u{feff}{}", "{\"a\": 01}", "\"\u{1}\""]
    {
        let answer = app.post_text(SEND, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-json"), "{body:?}");
    }
    let request = app.request(Method::POST, SEND).header("content-type", "application/json");
    let answer = app.call(request.body(b"{\"channel\": \"\xff\"}".to_vec())).await;
    assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-json"));
    for body in ["null", "[]", "1", "\"text\""] {
        assert_eq!(app.post_text(SEND, body).await.paths(), [""], "{body}");
    }
}

async fn a_body_is_utf8_with_or_without_a_mark(installation: Installation) {
    let app = TestApp::start(installation).await;
    let body = to_sandbox("5585999999999").to_string();
    let send = async |content_type: &str, body: Vec<u8>| {
        app.call(app.request(Method::POST, SEND).header("content-type", content_type).body(body)).await
    };
    let marked = format!("\u{feff}{body}").into_bytes();
    for taken in [
        "application/json",
        "application/json; charset",
        "application/json;charset=\"UTF-8\"",
        "application/json; charset=us-ascii",
    ] {
        assert_eq!(send(taken, marked.clone()).await.status, 200, "{taken}");
    }
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe], utf16.as_slice()].concat();
    for (content_type, body, named) in [
        ("application/json; charset=iso-8859-1", body.into_bytes(), "iso-8859-1"),
        ("application/json; charset=utf-16", utf16.clone(), "utf-16"),
        ("application/json", utf16, "UTF-16"),
        ("application/json", marked, "UTF-16"),
    ] {
        let answer = send(content_type, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (415, "unsupported-media-type"), "{content_type}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(named), "{}", answer.json());
    }
}

async fn an_empty_key_beside_a_token_is_passed_over(installation: Installation) {
    let app = TestApp::start(installation).await;
    let nobody = app.nobody();
    let request = |key: &str| nobody.request(Method::GET, "/api/messaging/messages").header("x-api-key", key);
    let bearer = format!("Bearer {BOOTSTRAP_KEY}");
    assert_eq!(app.call(request("").header("authorization", &bearer)).await.status, 200);
    assert_eq!(app.call(request(" ")).await.status, 401);
    assert_eq!(app.call(request("wrong").header("authorization", &bearer)).await.status, 401);
}

async fn a_request_may_have_many_headers(installation: Installation) {
    let app = TestApp::start(installation).await;
    let with = |count: usize| {
        (0..count).fold(app.request(Method::GET, "/health/live"), |request, number| {
            request.header(format!("x-{number}"), "1")
        })
    };
    assert_eq!(app.call(with(200)).await.status, 200);
    assert_eq!(app.call(with(1_001)).await.status, 431);
}

/// What is sent by hand on a connection, and what comes back until it ends or nothing more comes.
async fn by_hand(app: &TestApp, head: &str, body: &[u8]) -> String {
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    let head = format!(
        "POST {SEND} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nx-api-key: {BOOTSTRAP_KEY}\r\n{head}\r\n"
    );
    connection.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(SOON, connection.read(&mut answer)).await.expect("it answers").unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

async fn a_body_that_is_too_large_is_refused_before_it_is_sent(installation: Installation) {
    let app = TestApp::start(installation).await;
    let answer = by_hand(&app, "expect: 100-continue\r\ncontent-length: 50000000\r\n", b"").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = by_hand(&app, "expect: 100-continue\r\ncontent-length: 5\r\n", b"").await;
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
}

async fn what_was_packed_for_the_way_is_unpacked(installation: Installation) {
    let app = TestApp::start(installation).await;
    let body = to_sandbox("5585999999999").to_string();
    let mut packed = Vec::new();
    GzipEncoder::new(body.as_bytes()).read_to_end(&mut packed).await.unwrap();
    let chunks = [format!("{:x}\r\n", packed.len()).as_bytes(), &packed, b"\r\n0\r\n\r\n"].concat();
    let answer = by_hand(&app, "transfer-encoding: gzip, chunked\r\n", &chunks).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

async fn json_may_be_nested_one_hundred_and_twenty_seven_levels_deep(installation: Installation) {
    let app = TestApp::start(installation).await;
    // The body itself is one level.
    let nested = |levels: usize| {
        let mut text = to_sandbox("5585999999999").to_string();
        text.truncate(text.len() - 1);
        format!("{text},\"payload\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
    };
    let answer = app.post_text(SEND, nested(127)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    // The answer that shows it is a level deeper than what was sent, and than what this reader takes.
    let shown = app.get(&format!("/api/messaging/messages/{}", answer.message_id())).await;
    let payload = format!("\"payload\":{}{}", "[".repeat(126), "]".repeat(126));
    assert!(String::from_utf8(shown.body).unwrap().contains(&payload));
    for levels in [128, 1_000, 100_000] {
        let answer = app.post_text(SEND, nested(levels)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-json"), "{levels}");
    }
}

async fn a_body_must_be_said_to_be_json(installation: Installation) {
    let app = TestApp::start(installation).await;
    let body = to_sandbox("5585999999999").to_string();
    for told in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("json")] {
        let request = app.request(Method::POST, SEND).body(body.clone());
        let answer = app.call(if let Some(told) = told { request.header("content-type", told) } else { request }).await;
        assert_eq!((answer.status, answer.problem().as_str()), (415, "unsupported-media-type"), "{told:?}");
    }
    for told in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.example+json"] {
        let request = app.request(Method::POST, SEND).header("content-type", told).body(body.clone());
        assert_eq!(app.call(request).await.status, 200, "{told}");
    }
}

async fn a_body_over_the_limit_gets_an_answer_that_can_be_read(installation: Installation) {
    const LIMIT: usize = 1_048_576;

    let app = TestApp::start(installation).await;
    let of_size = |size: usize| {
        let empty = json!({ "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "5", "message": "" });
        let mut body = empty;
        let rest = size - body.to_string().len();
        body["message"] = "x".repeat(rest).into();
        body.to_string()
    };
    let answer = app.post_text(SEND, of_size(LIMIT)).await;
    assert_eq!(answer.status, 200, "the limit itself is allowed: {}", answer.json());
    for size in [LIMIT + 1, LIMIT + 100_000, 12 * LIMIT] {
        let answer = app.post_text(SEND, of_size(size)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "body-too-large"), "{size}");
    }
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 1);
}

async fn every_problem_of_a_message_is_told_at_once(installation: Installation) {
    let app = TestApp::start(installation).await;
    let with = |name: &str, value: Value| {
        let mut body = to_sandbox("5585999999999");
        body[name] = value;
        body
    };
    let mut all_wrong = with("mediaType", json!("picture"));
    for (name, value) in [("channel", json!(1)), ("channelInstanceId", json!("")), ("remoteJid", json!(null))] {
        all_wrong[name] = value;
    }
    for (name, value) in [("message", json!([])), ("mesage", json!("x")), ("sendAt", json!("tomorrow"))] {
        all_wrong[name] = value;
    }
    let cases: [(Value, &[&str]); 15] = [
        (json!({}), &["/channel", "/channelInstanceId", "/message", "/remoteJid"]),
        (
            all_wrong,
            &[
                "/channel",
                "/channelInstanceId",
                "/mediaType",
                "/mediaUrl",
                "/mesage",
                "/message",
                "/remoteJid",
                "/sendAt",
            ],
        ),
        (with("channel", json!("pigeon")), &["/channel"]),
        (with("channel", json!("sms")), &["/channel"]),
        (with("groupId", json!("g")), &["/groupId"]),
        (with("priority", json!(10)), &["/priority"]),
        (with("priority", json!(-1)), &["/priority"]),
        (with("sendAt", json!("2999-01-01T00:00:00Z")), &["/sendAt"]),
        (with("sendAt", json!("2026-01-18T12:00:00")), &["/sendAt"]),
        (with("mediaUrl", json!("file:///etc/passwd")), &["/mediaUrl"]),
        (with("mediaType", json!("image")), &["/mediaUrl"]),
        (with("maxRetries", json!(0)), &["/maxRetries"]),
        (with("maxRetries", json!(1.5)), &["/maxRetries"]),
        (with("message", json!("")), &["/message"]),
        (with("a/b~c", json!(1)), &["/a~1b~0c"]),
    ];
    for (body, paths) in cases {
        assert_eq!(app.send(&body).await.paths(), paths, "{body}");
    }
    let unknown = app.send(&with("channelInstanceId", json!("nobody's"))).await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "unknown-instance"));
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, 0);
}

async fn a_nul_is_refused_wherever_it_is(installation: Installation) {
    let app = TestApp::start(installation).await;
    let with = |name: &str, value: Value| {
        let mut body = to_sandbox("5585999999999");
        body[name] = value;
        body
    };
    let cases = [
        (with("message", json!("a\0b")), "/message"),
        (with("remoteJid", json!("\0")), "/remoteJid"),
        (with("channelInstanceId", json!("\0")), "/channelInstanceId"),
        (with("payload", json!({ "a": [1, "\0"] })), "/payload/a/1"),
        (with("payload", json!({ "\0": 1 })), "/payload/\0"),
    ];
    for (body, path) in cases {
        assert_eq!(app.send(&body).await.paths(), [path], "{body}");
    }
    let instance = json!({
        "channel": "sandbox", "channelInstanceId": "x", "channelPhoneOrId": "x", "metadata": { "a": "\0" },
    });
    assert_eq!(app.post("/api/messaging/instances", &instance).await.paths(), ["/metadata/a"]);
    for path in ["/api/messaging/messages/%00", "/api/messaging/instances/%00"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
}

async fn unknown_routes_ids_and_methods_are_told_apart(installation: Installation) {
    let app = TestApp::start(installation).await;
    for path in ["/", "/api/messaging", "/api/messaging/nothing", "/api/messaging/messages/x/y", "/nothing"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{path}");
    }
    for id in ["x", "019bd8a20000700080000000000000000", "019bd8a2-0000-7000-8000-000000000000", "%FF"] {
        assert_eq!(app.get(&format!("/api/messaging/messages/{id}")).await.problem(), "unknown-message", "{id}");
        assert_eq!(app.get(&format!("/api/messaging/instances/{id}")).await.problem(), "unknown-instance", "{id}");
    }
    let cases = [
        (Method::GET, SEND, vec!["POST"]),
        (Method::DELETE, "/api/messaging/messages", vec!["GET"]),
        (Method::PUT, "/api/messaging/instances", vec!["GET", "POST"]),
        (Method::POST, "/api/messaging/instances/x", vec!["DELETE", "GET", "PATCH"]),
    ];
    for (method, path, expected) in cases {
        let answer = app.call(app.request(method.clone(), path)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method-not-allowed"), "{method} {path}");
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        allowed.retain(|method| *method != "HEAD");
        allowed.sort_unstable();
        assert_eq!(allowed, expected, "{path}");
    }
}

async fn every_answer_has_a_request_id_and_a_sane_one_is_kept(installation: Installation) {
    let app = TestApp::start(installation).await;
    let with_id = async |path: &str, id: &str| {
        let answer = app.call(app.request(Method::GET, path).header("x-request-id", id)).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    for path in ["/health/live", "/nothing", "/api/messaging/messages", "/api/messaging/messages/x"] {
        assert_eq!(with_id(path, "pedido-1/2").await, "pedido-1/2", "{path}");
        for insane in ["", "a b", &"x".repeat(129)] {
            let id = with_id(path, insane).await;
            assert!(uuid::Uuid::parse_str(&id).is_ok(), "{id} instead of {insane:?}");
        }
        let (first, second) = (app.get(path).await, app.get(path).await);
        assert_ne!(first.header("x-request-id").unwrap(), second.header("x-request-id").unwrap());
    }
    eventually(SOON, "the request is logged under its id", async || {
        app.log().into_iter().find(|line| line.contains("pedido-1/2") && line.contains("\"status\":404"))
    })
    .await;
}

async fn a_database_that_is_away_is_waited_for(installation: Installation) {
    let name = installation.postgres.as_ref().unwrap().options().get_database().unwrap().to_owned();
    let mut server = PgConnection::connect(&std::env::var("TEST_DATABASE_URL").unwrap()).await.unwrap();
    let mut app = TestApp::start(installation).await;
    assert_eq!(app.send(&to_sandbox("5585999999999")).await.status, 200);

    let go_away = format!("alter database {name} allow_connections false");
    sqlx::query(AssertSqlSafe(go_away)).execute(&mut server).await.unwrap();
    let hang_up = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    sqlx::query(AssertSqlSafe(hang_up)).execute(&mut server).await.unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        for answer in [
            app.send_once("pedido-1", &to_sandbox("5585999999999")).await,
            app.get("/api/messaging/messages").await,
            app.get("/api/messaging/instances").await,
        ] {
            assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{}", answer.json());
            assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
    assert_eq!(app.get("/health/ready").await.status, 503);
    assert_eq!(app.get("/health").await.status, 206, "webhooks are kept in the spool");
    assert_eq!(app.get("/health/live").await.status, 200);
    assert!(app.is_alive());

    let come_back = format!("alter database {name} allow_connections true");
    sqlx::query(AssertSqlSafe(come_back)).execute(&mut server).await.unwrap();
    eventually(SOON, "it is ready again", async || (app.get("/health/ready").await.status == 200).then_some(())).await;
    let answer = app.send_once("pedido-1", &to_sandbox("5585999999999")).await;
    assert_eq!((answer.status, answer.header("idempotent-replay")), (200, None), "{}", answer.json());
    let is_healthy = async || (app.get("/health").await.json()["status"] == "healthy").then_some(());
    eventually(SOON, "it is healthy again", is_healthy).await;
}

async fn parameters_that_a_route_does_not_have_are_refused(installation: Installation) {
    let app = TestApp::start(installation).await;
    let id = uuid::Uuid::now_v7();
    for path in [format!("messages/{id}"), format!("instances/{id}")] {
        let answer = app.get(&format!("/api/messaging/{path}?zip=1")).await;
        assert_eq!((answer.status, answer.json()["errors"][0]["path"].as_str()), (422, Some("/zip")), "{path}");
    }
    let answer = app.post("/api/messaging/message/send?zip=1", &to_sandbox("ana")).await;
    assert_eq!((answer.status, answer.json()["errors"][0]["path"].as_str()), (422, Some("/zip")));
}
