//! Bodies as clients really send them.

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::answered::Answered;
use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::{BOOTSTRAP_KEY, TestApp};

stories!(
    on_one_installation:
    a_body_may_be_compressed,
    a_compressed_body_is_bounded_by_what_it_comes_to,
    a_compression_that_is_not_known_is_refused_with_those_that_are,
    a_client_that_has_said_all_it_has_to_say_is_answered,
    what_json_may_say_and_no_text_or_number_holds_is_told_with_its_member;
);

const SEND: &str = "/api/messaging/message/send";

macro_rules! compressed {
    ($encoder:ident, $text:expr) => {{
        let mut encoder = $encoder::new(Vec::new());
        encoder.write_all($text.as_ref()).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }};
}

async fn send(app: &TestApp, coding: &str, body: Vec<u8>) -> Answered {
    let request = app.request(Method::POST, SEND).header("content-type", "application/json");
    app.call(request.header("content-encoding", coding).body(body)).await
}

async fn a_body_may_be_compressed(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut message = to_sandbox("5585999999999");
    message["message"] = json!("Olá, João!");
    let text = message.to_string();
    let gzip = compressed!(GzipEncoder, &text);
    let (first, second) = text.split_at(20);
    let members = [compressed!(GzipEncoder, first), compressed!(GzipEncoder, second)].concat();
    let twice = compressed!(BrotliEncoder, compressed!(ZstdEncoder, &text));
    let cases = [
        ("gzip", gzip.clone()),
        ("x-gzip", gzip.clone()),
        ("GZIP", gzip),
        ("gzip", members),
        ("deflate", compressed!(ZlibEncoder, &text)),
        ("deflate", compressed!(DeflateEncoder, &text)),
        ("br", compressed!(BrotliEncoder, &text)),
        ("zstd", compressed!(ZstdEncoder, &text)),
        ("zstd, br", twice),
        ("identity", text.clone().into_bytes()),
    ];
    for (coding, body) in cases {
        let answer = send(&app, coding, body).await;
        assert_eq!(answer.status, 200, "{coding}: {}", answer.json());
        let shown = app.get(&format!("/api/messaging/messages/{}", answer.message_id())).await;
        assert_eq!(shown.data()["message"], "Olá, João!", "{coding}");
    }

    for (coding, body) in [("gzip", text.clone().into_bytes()), ("zstd", vec![0; 100]), ("br", vec![0xff; 100])] {
        let answer = send(&app, coding, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-json"), "{coding}");
    }
    let cut_off = compressed!(GzipEncoder, &text);
    assert_eq!(send(&app, "gzip", cut_off[..cut_off.len() / 2].to_vec()).await.status, 400);
}

async fn a_compressed_body_is_bounded_by_what_it_comes_to(installation: Installation) {
    let app = TestApp::start_with(installation, &[("MAX_BODY_BYTES", "100000")]).await;
    let zeros = vec![b' '; 50_000_000];
    for (coding, body) in [
        ("gzip", compressed!(GzipEncoder, &zeros)),
        ("br", compressed!(BrotliEncoder, &zeros)),
        ("zstd", compressed!(ZstdEncoder, &zeros)),
        ("gzip, gzip", compressed!(GzipEncoder, compressed!(GzipEncoder, &zeros))),
    ] {
        let answer = send(&app, coding, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "body-too-large"), "{coding}");
    }
}

async fn a_compression_that_is_not_known_is_refused_with_those_that_are(installation: Installation) {
    let app = TestApp::start(installation).await;
    for coding in ["compress", "gzip, compress", "gzip, gzip, gzip", "gzip;q=1"] {
        let answer = send(&app, coding, b"{}".to_vec()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (415, "unsupported-media-type"), "{coding}");
        assert_eq!(answer.headers.get("accept-encoding").unwrap(), "gzip, deflate, br, zstd");
    }
}

/// Some ERPs close their half of the connection once the request is out, and so does `nc -N`.
async fn a_client_that_has_said_all_it_has_to_say_is_answered(installation: Installation) {
    let app = TestApp::start(installation).await;
    let (body, key) = (to_sandbox("5585999999999").to_string(), BOOTSTRAP_KEY);
    for path in [SEND, "/health"] {
        let (method, body) = if path == SEND { ("POST", body.as_str()) } else { ("GET", "") };
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(answer.contains("\"success\":true") || path != SEND, "{answer}");
    }
}

async fn what_json_may_say_and_no_text_or_number_holds_is_told_with_its_member(installation: Installation) {
    let app = TestApp::start(installation).await;
    let whole = to_sandbox("5585999999999").to_string();
    let with = |member: &str| format!("{},{member}}}", &whole[..whole.len() - 1]);
    let answer = app.post_text(SEND, with(r#""payload": {"nome": ["Jo\u00e3o", "\ud83d"]}"#)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid-field"));
    assert_eq!(answer.paths(), ["/payload/nome/1"]);
    let vast = app.post_text(SEND, with(r#""payload": {"valores": [1, 1e400]}"#)).await;
    assert_eq!((vast.status, vast.paths()), (422, vec!["/payload/valores/1".to_owned()]));
    let whole_pair = app.post_text(SEND, with(r#""payload": {"nome": "\ud83d\ude00"}"#)).await;
    assert_eq!(whole_pair.status, 200, "{}", whole_pair.json());
}
