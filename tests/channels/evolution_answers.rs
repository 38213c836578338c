use std::time::{Duration, Instant};

use correio::application::ports::ChannelSender;
use correio::domain::message::delivery::DeliveryErrorKind;
use correio::domain::message::{Content, MediaType};
use serde_json::{Value, json};

use super::evolution_requests::{accepted, sender, sender_that_waits, to};
use super::{PATIENCE, PLENTY, medium, text};
use crate::contracts::delivery::channel_sender::ending;
use crate::support::http_receiver::{Answer, HttpReceiver};

fn image() -> Content {
    medium(MediaType::Image, "https://x.example/foto.png", None)
}

fn audio() -> Content {
    medium(MediaType::Audio, "https://x.example/voz.ogg", None)
}

/// Evolution's shape of an error.
fn failed(status: u16, error: &str, message: Value) -> Answer {
    Answer::json(status, &json!({"status": status, "error": error, "response": {"message": message}}))
}

async fn ending_of(answer: Answer, content: Content) -> &'static str {
    let receiver = HttpReceiver::start().await;
    receiver.next(answer);
    let verdict = sender().send(&to(&receiver.url(""), "5511999999999", content)).await;
    receiver.only();
    ending(&verdict)
}

#[tokio::test]
async fn every_row_of_its_contract() {
    let bad = |message| failed(400, "Bad Request", message);
    let broken = |message| failed(500, "Internal Server Error", message);
    let cases = [
        (bad(json!([{"jid": "1@s.whatsapp.net", "exists": false, "number": "1", "name": "x"}])), "refused"),
        (bad(json!([{"jid": "1@s.whatsapp.net", "exists": false, "number": "1"}])), "refused"),
        (bad(json!([["instance requires property \"text\""]])), "refused"),
        (bad(json!(["Text is required"])), "refused"),
        (bad(json!("Text is required")), "refused"),
        (bad(json!(["Owned media must be a url or base64"])), "refused"),
        (bad(json!(["For base64 the file name must be informed."])), "refused"),
        (bad(json!(["Error: Connection Closed"])), "transient"),
        (bad(json!("Error: Connection Closed")), "transient"),
        (bad(json!([["Error: Timed Out"]])), "transient"),
        (bad(json!(["Error: rate-overlimit"])), "transient"),
        (bad(json!(["PrismaClientKnownRequestError: \nInvalid `prisma.message.create()` invocation"])), "unknown"),
        (bad(json!(null)), "refused"),
        (bad(json!({"deep": [{"exists": false}]})), "refused"),
        (failed(401, "Unauthorized", json!("Unauthorized")), "misconfigured"),
        (failed(403, "Forbidden", json!(["no"])), "misconfigured"),
        (failed(404, "Not Found", json!(["The \"loja\" instance does not exist"])), "misconfigured"),
        (failed(404, "Not Found", json!(["Cannot POST /message/sendText/loja"])), "misconfigured"),
        (Answer::new(404, "<html>nginx</html>"), "misconfigured"),
        (Answer::new(413, "too large"), "refused"),
        (broken(json!("Connection Closed")), "transient"),
        (broken(json!("Cannot read properties of undefined (reading 'textMessage')")), "transient"),
        (broken(json!("Cannot read properties of undefined (reading 'onWhatsApp')")), "transient"),
        (Answer::new(301, "").with("location", "/elsewhere"), "misconfigured"),
        (Answer::new(408, ""), "transient"),
        (Answer::new(409, ""), "refused"),
        (Answer::new(422, ""), "refused"),
        (Answer::new(425, ""), "transient"),
        (Answer::new(429, ""), "transient"),
        (Answer::new(400, ""), "refused"),
        (Answer::new(400, "not JSON"), "refused"),
        (Answer::new(502, "<html>Bad Gateway</html>"), "unknown"),
        (Answer::new(503, ""), "transient"),
    ];
    for (answer, expected) in cases {
        assert_eq!(ending_of(answer.clone(), text("Olá")).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn a_mediums_own_status_counts() {
    let axios = |code: u16| {
        failed(500, "Internal Server Error", json!([format!("AxiosError: Request failed with status code {code}")]))
    };
    let cases = [
        (404, "refused"),
        (403, "refused"),
        (408, "transient"),
        (425, "transient"),
        (429, "transient"),
        (503, "transient"),
    ];
    for (code, expected) in cases {
        assert_eq!(ending_of(axios(code), image()).await, expected, "{code}");
    }
    let unreachable = failed(500, "Internal Server Error", json!(["AxiosError: getaddrinfo ENOTFOUND x.example"]));
    assert_eq!(ending_of(unreachable, image()).await, "transient");

    let instance = failed(404, "Not Found", json!(["The \"loja\" instance does not exist"]));
    assert_eq!(ending_of(instance, audio()).await, "misconfigured");
    let dead_url = failed(404, "AxiosError", json!(["Request failed with status code 404"]));
    assert_eq!(ending_of(dead_url.clone(), audio()).await, "refused");
    assert_eq!(ending_of(dead_url, image()).await, "misconfigured");
    assert_eq!(ending_of(Answer::new(404, ""), audio()).await, "refused");
    assert_eq!(ending_of(Answer::new(410, ""), audio()).await, "refused");
}

#[tokio::test]
async fn a_201_without_an_id_is_a_failure() {
    let meta = |code: Value| Answer::json(201, &json!({"message": "(#1) no", "type": "OAuthException", "code": code}));
    let cases = [
        (meta(json!(4)), "transient"),
        (meta(json!(80007)), "transient"),
        (meta(json!(130_429)), "transient"),
        (meta(json!(131_048)), "transient"),
        (meta(json!(131_056)), "transient"),
        (meta(json!(131_026)), "refused"),
        (meta(json!("131026")), "refused"),
        (meta(json!(131_047)), "refused"),
        (meta(json!(131_051)), "refused"),
        (meta(json!(100)), "refused"),
        (meta(json!(190)), "misconfigured"),
        (meta(json!(10)), "misconfigured"),
        (meta(json!(200)), "misconfigured"),
        (meta(json!(131_000)), "transient"),
        (meta(json!("ERR_BAD_REQUEST")), "transient"),
        (Answer::json(201, &json!({})), "transient"),
        (Answer::json(201, &json!({"key": {"id": ""}})), "transient"),
        (Answer::json(201, &json!({"key": {"id": null}})), "transient"),
        (Answer::json(201, &json!({"key": "3EB0"})), "transient"),
        (Answer::new(201, "created"), "transient"),
        (Answer::new(200, "<html>welcome</html>"), "transient"),
    ];
    for (answer, expected) in cases {
        assert_eq!(ending_of(answer.clone(), text("Olá")).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn an_acceptance_is_known_by_its_id_alone() {
    let thumbnail: Vec<u8> = vec![255; 60_000];
    let cases = [
        accepted(),
        Answer::json(201, &json!({"key": {"id": "3EB0"}, "messageTimestamp": "1760000000", "new": [1]})),
        Answer::json(200, &json!({"key": {"id": "3EB0"}, "message": {"conversation": "Error: AxiosError 404"}})),
        Answer::json(201, &json!({"key": {"id": "3EB0"}, "message": {"imageMessage": {"jpegThumbnail": thumbnail}}})),
    ];
    for answer in cases {
        assert_eq!(ending_of(answer, text("Olá")).await, "sent");
    }
    let receiver = HttpReceiver::start().await;
    receiver.next(Answer::json(201, &json!({"key": {"id": format!("A\u{0}B{}", "x".repeat(500))}})));
    let acceptance = sender().send(&to(&receiver.url(""), "5511999999999", text("Olá"))).await.unwrap();
    let id = acceptance.channel_message_id.unwrap();
    assert!(id.starts_with("ABx") && id.len() == 255, "{id}");
}

#[tokio::test]
async fn an_acceptance_that_was_cut_off_is_unknown() {
    let cut = b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{\"key\": {".to_vec();
    assert_eq!(ending_of(Answer::Raw(cut), text("Olá")).await, "unknown");

    let endless = [b"HTTP/1.1 201 Created\r\n\r\n{\"key\": \"".as_slice(), &[b'x'; 10_000]].concat();
    let start = Instant::now();
    assert_eq!(ending_of(Answer::Endless(endless), text("Olá")).await, "unknown");
    assert!(start.elapsed() < PLENTY / 2, "it reads only so much");
}

#[tokio::test]
async fn an_ambiguous_answer_depends_on_the_connection() {
    let ambiguous = || failed(400, "Bad Request", json!(["[object Object]"]));
    let state = |state: &str| Answer::json(200, &json!({"instance": {"instanceName": "loja", "state": state}}));
    let cases = [
        (state("open"), "refused"),
        (state("connecting"), "transient"),
        (state("close"), "transient"),
        (Answer::new(500, r#"{"instance": {"state": "open"}}"#), "transient"),
        (Answer::new(200, "open"), "transient"),
        (Answer::Close, "transient"),
        (state("open").after(PATIENCE), "transient"),
    ];
    for (state, expected) in cases {
        let receiver = HttpReceiver::start().await;
        receiver.next(ambiguous());
        receiver.next(state.clone());
        let verdict =
            sender_that_waits(PATIENCE).send(&to(&receiver.url("/v2"), "120363041234567890@g.us", text("Olá"))).await;
        assert_eq!(ending(&verdict), expected, "{state:?}");
        assert_eq!(verdict.unwrap_err().http_status, Some(400));
        let asked = &receiver.received()[1];
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/v2/instance/connectionState/loja"));
        assert!(asked.header("apikey").is_some());
    }
}

#[tokio::test]
async fn it_says_in_words_what_happened() {
    let receiver = HttpReceiver::start().await;
    let sender = sender();
    let cases = [
        (failed(400, "Bad Request", json!([["a é", "b\nc"]])), "HTTP 400 from the Evolution API: a é; b c"),
        (
            failed(400, "Bad Request", json!([{"jid": "1", "exists": false, "number": "1"}])),
            "HTTP 400 from the Evolution API: the recipient is not on WhatsApp",
        ),
        (Answer::new(502, "<html>"), "HTTP 502 from the Evolution API: <html>"),
        (Answer::new(503, ""), "HTTP 503 from the Evolution API"),
        (
            Answer::json(201, &json!({"message": "(#4) limit", "code": 4})),
            "HTTP 201 from the Evolution API: (#4) limit",
        ),
    ];
    for (answer, reason) in cases {
        receiver.always(answer);
        let error = sender.send(&to(&receiver.url(""), "5511999999999", text("Olá"))).await.unwrap_err();
        assert_eq!(error.reason, reason);
    }
}

#[tokio::test]
async fn it_comes_back_when_it_is_told_to() {
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(503, "").with("retry-after", "9"));
    let error = sender().send(&to(&receiver.url(""), "5511999999999", text("Olá"))).await.unwrap_err();
    assert_eq!(error.kind, DeliveryErrorKind::Transient { retry_after: Some(Duration::from_secs(9)) });
}
