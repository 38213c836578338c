use std::time::{Duration, Instant};

use correio::application::ports::{ChannelSender, Delivery};
use correio::domain::message::delivery::{DeliveryError, DeliveryErrorKind};
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
        (bad(json!(["Error: Connection Closed"])), "instance off"),
        (bad(json!("Error: Connection Closed")), "instance off"),
        (bad(json!([["Error: Timed Out"]])), "unknown"),
        (bad(json!(["Error: rate-overlimit"])), "transient"),
        (bad(json!(["Error: not-acceptable"])), "transient"),
        (bad(json!(["Error: JID decoded but user is empty (@s.whatsapp.net)"])), "refused"),
        (bad(json!(["TypeError: Cannot read properties of undefined (reading 'id')"])), "instance off"),
        (bad(json!(["TypeError: Cannot read properties of undefined (reading 'sendMessage')"])), "instance off"),
        (bad(json!(["TypeError: Cannot read properties of undefined (reading 'message')"])), "unknown"),
        (bad(json!(["TypeError: Cannot read properties of undefined (reading '0')"])), "unknown"),
        (bad(json!(["TypeError: message.mimetype?.startsWith is not a function"])), "refused"),
        (bad(json!(["DriverAdapterError: UniqueConstraintViolation"])), "unknown"),
        (bad(json!(["PrismaClientKnownRequestError: \nInvalid `prisma.message.create()` invocation"])), "unknown"),
        (bad(json!(null)), "refused"),
        (bad(json!({"deep": [{"exists": false}]})), "refused"),
        (failed(401, "Unauthorized", json!("Unauthorized")), "instance off"),
        (failed(403, "Forbidden", json!(["no"])), "misconfigured"),
        (failed(404, "Not Found", json!(["The \"loja\" instance does not exist"])), "instance off"),
        (failed(404, "Not Found", json!(["Cannot POST /message/sendText/loja"])), "instance off"),
        (Answer::new(404, "<html>nginx</html>"), "instance off"),
        (Answer::new(413, "too large"), "refused"),
        (broken(json!("Connection Closed")), "instance off"),
        (broken(json!("Cannot read properties of undefined (reading 'textMessage')")), "instance off"),
        (broken(json!("Cannot read properties of undefined (reading 'onWhatsApp')")), "instance off"),
        (broken(json!("Cannot read properties of undefined (reading 'find')")), "transient"),
        (broken(json!("Timed Out")), "transient"),
        (broken(json!("rate-overlimit")), "transient"),
        (
            broken(json!(
                "\nInvalid `this.prismaRepository.instance.findFirst()` invocation in\n/evolution/main.js:1:2"
            )),
            "transient",
        ),
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
        (Answer::new(503, "no healthy upstream"), "transient"),
        (
            Answer::new(
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
            ),
            "transient",
        ),
        (
            Answer::new(
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            ),
            "unknown",
        ),
        (Answer::new(500, "<html>500 Internal Server Error</html>"), "unknown"),
        (
            Answer::json(503, &json!({"error": "service not activated", "code": "LICENSE_REQUIRED", "message": "…"})),
            "instance off",
        ),
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
    assert_eq!(ending_of(instance, audio()).await, "instance off");
    let dead_url = failed(404, "AxiosError", json!(["Request failed with status code 404"]));
    assert_eq!(ending_of(dead_url.clone(), audio()).await, "refused");
    assert_eq!(ending_of(dead_url, image()).await, "instance off");
    let kept_from_it = failed(401, "Internal Server Error", json!("Request failed with status code 401"));
    assert_eq!(ending_of(kept_from_it, audio()).await, "refused");
    assert_eq!(ending_of(failed(401, "Unauthorized", json!("Unauthorized")), audio()).await, "instance off");
    let broken = |text: &str| failed(500, "Internal Server Error", json!([text]));
    let cases = [
        ("File or buffer is undefined.", "refused"),
        ("Error: Input buffer contains unsupported image format", "refused"),
        ("Error: Connection Closed", "instance off"),
        ("TypeError: Cannot read properties of undefined (reading 'waUploadToServer')", "instance off"),
        ("Error: connect ECONNREFUSED 10.0.0.1:443", "transient"),
        ("Error: Media upload failed on all hosts", "transient"),
    ];
    for (text, expected) in cases {
        assert_eq!(ending_of(broken(text), image()).await, expected, "{text}");
    }
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
        (meta(json!(131_048)), "instance off"),
        (
            Answer::json(
                201,
                &json!({"message": "x", "type": "GraphMethodException", "code": 100, "error_subcode": 33}),
            ),
            "instance off",
        ),
        (meta(json!(131_056)), "transient"),
        (meta(json!(131_026)), "refused"),
        (meta(json!("131026")), "refused"),
        (meta(json!(131_047)), "refused"),
        (meta(json!(131_051)), "refused"),
        (meta(json!(100)), "refused"),
        (meta(json!(131_030)), "refused"),
        (meta(json!(131_049)), "refused"),
        (meta(json!(131_008)), "refused"),
        (meta(json!(130_472)), "refused"),
        (meta(json!(190)), "instance off"),
        (meta(json!(10)), "instance off"),
        (meta(json!(200)), "instance off"),
        (meta(json!(133_010)), "instance off"),
        (meta(json!(131_042)), "instance off"),
        (meta(json!(368)), "instance off"),
        (meta(json!(131_000)), "transient"),
        (meta(json!(2)), "transient"),
        (meta(json!("ERR_BAD_REQUEST")), "unknown"),
        // Of something in between, which has codes of its own.
        (Answer::json(200, &json!({"code": 200, "message": "ok"})), "unknown"),
        (Answer::json(201, &json!({"code": 0})), "unknown"),
        (Answer::json(201, &json!({})), "unknown"),
        (Answer::json(201, &json!({"key": {"id": ""}})), "unknown"),
        (Answer::json(201, &json!({"key": {"id": null}})), "unknown"),
        (Answer::json(201, &json!({"key": {"remoteJid": "5511@s.whatsapp.net", "fromMe": true}})), "unknown"),
        (Answer::json(201, &json!({"key": "3EB0"})), "unknown"),
        (Answer::new(201, "created"), "unknown"),
        (Answer::new(201, ""), "unknown"),
        (Answer::new(200, "<html>welcome</html>"), "unknown"),
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
        Answer::json(201, &json!([{"key": {"id": "3EB0"}}])),
        Answer::json(201, &json!({"data": {"key": {"id": "3EB0"}}})),
        Answer::new(201, [b"\xef\xbb\xbf".as_slice(), br#"{"key": {"id": "3EB0"}}"#].concat()),
        Answer::new(201, b"{\"key\": {\"id\": \"3EB0\"}, \"pushName\": \"Jo\xe3o\"}".to_vec()),
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
async fn what_is_wrong_with_a_group_is_asked_for() {
    let ambiguous = || failed(400, "Bad Request", json!(["[object Object]"]));
    let info = |why: &str| failed(404, "Not Found", json!(["Error fetching group", why]));
    let cases = [
        (info("Error: item-not-found"), "refused"),
        (info("Error: forbidden"), "refused"),
        (info("Error: rate-overlimit"), "transient"),
        (info("Error: Connection Closed"), "instance off"),
        (info("TypeError: Cannot read properties of undefined (reading 'groupMetadata')"), "instance off"),
        (Answer::json(200, &json!({"id": "120363041234567890@g.us", "subject": "Vendas"})), "transient"),
        (Answer::new(500, "<html>"), "transient"),
        (Answer::Close, "transient"),
        (info("Error: forbidden").after(PATIENCE), "transient"),
    ];
    for (info, expected) in cases {
        let receiver = HttpReceiver::start().await;
        receiver.next(ambiguous());
        receiver.next(info.clone());
        let verdict =
            sender_that_waits(PATIENCE).send(&to(&receiver.url("/v2"), "120363041234567890@g.us", text("Olá"))).await;
        assert_eq!(ending(&verdict), expected, "{info:?}");
        assert_eq!(verdict.unwrap_err().http_status, Some(400));
        let asked = &receiver.received()[1];
        let path = "/v2/group/findGroupInfos/loja?groupJid=120363041234567890%40g.us";
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", path));
        assert!(asked.header("apikey").is_some());
    }
    assert_eq!(ending_of(ambiguous(), text("Olá")).await, "transient", "no group: there is nothing to ask for");
}

#[tokio::test]
async fn an_unknown_outcome_has_the_id_that_a_receipt_will_name() {
    let id = |verdict: Result<_, DeliveryError>| verdict.err().and_then(|error| error.channel_message_id);
    let receiver = HttpReceiver::start().await;
    let send = async |content| sender().send(&to(&receiver.url(""), "5511999999999", content)).await;
    for answer in [Answer::Close, Answer::new(502, "<html>"), Answer::json(201, &json!({"key": {"id": ""}}))] {
        receiver.next(answer);
        let given = id(send(text("Olá")).await).unwrap();
        let sent: Value = serde_json::from_slice(&receiver.received().last().unwrap().body).unwrap();
        assert_eq!(sent["messageId"], given.as_str());
        let digits = given.strip_prefix("3EB0").unwrap();
        assert!(digits.len() == 18 && digits.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte)), "{given}");
    }
    receiver.next(Answer::Close);
    assert_eq!(id(send(audio()).await), None, "a voice message takes no id of ours");
    receiver.next(Answer::new(503, ""));
    assert!(id(send(text("Olá")).await).is_some(), "it was not taken; an earlier try may have been, by the same name");
}

#[tokio::test]
async fn every_try_of_a_run_has_one_id_and_a_replay_has_another() {
    let receiver = HttpReceiver::start().await;
    let sender = sender();
    let mut ids = Vec::new();
    let first = to(&receiver.url(""), "5511999999999", text("Olá"));
    for run in [0, 0, 1, 1, 2] {
        receiver.next(Answer::new(503, ""));
        let delivery = Delivery { run, ..first.clone() };
        ids.push(sender.send(&delivery).await.unwrap_err().channel_message_id.unwrap());
    }
    assert!(ids[0] == ids[1] && ids[2] == ids[3], "{ids:?}");
    assert!(ids[0] != ids[2] && ids[2] != ids[4] && ids[0] != ids[4], "{ids:?}");
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
        (
            failed(
                400,
                "Bad Request",
                json!([
                    "PrismaClientKnownRequestError: \nInvalid `x.create()` invocation in\n/evolution/dist/main.js:1"
                ]),
            ),
            "HTTP 400 from the Evolution API: PrismaClientKnownRequestError: Invalid `x.create()`",
        ),
        (
            failed(400, "Bad Request", json!(["TypeError: Cannot read properties of undefined (reading 'id')"])),
            "The instance is not connected to WhatsApp: its QR code is to be scanned (HTTP 400 from the Evolution API: \
             TypeError: Cannot read properties of undefined (reading 'id'))",
        ),
        (
            Answer::json(
                503,
                &json!({"code": "LICENSE_REQUIRED", "register_url": "https://evo.example/manager/login"}),
            ),
            "Evolution API's licence is not activated: https://evo.example/manager/login",
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
