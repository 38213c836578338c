use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use correio::application::ports::{ChannelSender, Delivery};
use correio::domain::message::delivery::DeliveryErrorKind;
use correio::domain::message::{Content, MediaType};
use correio::infrastructure::channels::{SigningSecret, WebhookSender, WebhookSettings};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{PATIENCE, PLENTY, clock, delivery, medium, paths, payload, text};
use crate::contracts::delivery::channel_sender::{ChannelUnderTest, ending, prove};
use crate::support::http_receiver::{Answer, HttpReceiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub fn sender() -> WebhookSender {
    sender_that_waits(PLENTY)
}

fn sender_that_waits(timeout: Duration) -> WebhookSender {
    WebhookSender::new(WebhookSettings { timeout, ..WebhookSettings::default() }, clock()).unwrap()
}

pub fn to(address: &str, content: Content) -> Delivery {
    delivery(address, &json!({ "secret": SECRET }), "pedidos/ação", content)
}

#[tokio::test]
async fn it_keeps_the_contract_of_a_channel() {
    prove(ChannelUnderTest {
        sender: &sender_that_waits(PATIENCE),
        delivery: &|base| to(&format!("{base}/hook?k=s3cr3t-t0ken&n=12"), text("Olá")),
        accepting: Answer::new(204, ""),
        secrets: vec![
            SECRET.to_owned(),
            SECRET[6..].to_owned(),
            SECRET[6..].trim_end_matches('=').to_owned(),
            "s3cr3t-t0ken".to_owned(),
            "k=s3cr3t-t0ken&n=12".to_owned(),
        ],
        patience: PATIENCE,
        busy: &[429, 503],
        steady_headers: &["webhook-id", "content-type", "user-agent"],
    })
    .await;
}

#[tokio::test]
async fn a_message_arrives_in_its_envelope() {
    let receiver = HttpReceiver::start().await;
    let sent = to(&receiver.url("/hook?a=b"), text("Olá, João! Não há \"pão\" 🍞\n"));
    let acceptance = sender().send(&sent).await.unwrap();
    assert_eq!(acceptance.channel_message_id, Some(sent.message_id.to_string()));
    assert_eq!(acceptance.http_status, Some(200));

    let request = receiver.only();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?a=b"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some(concat!("Correio/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("webhook-id"), Some(sent.message_id.to_string().as_str()));
    assert_eq!(request.header("webhook-timestamp"), Some("1768737600"));
    let id = sent.message_id;
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        format!(
            r#"{{"type":"message","timestamp":"2026-01-18T11:59:58.007Z","data":{{"messageId":"{id}","remoteJid":"pedidos/ação","message":"Olá, João! Não há \"pão\" 🍞\n","mediaUrl":null,"mediaType":null}}}}"#
        )
    );
}

#[tokio::test]
async fn a_medium_and_a_payload_arrive_as_they_are() {
    let receiver = HttpReceiver::start().await;
    sender().send(&to(&receiver.url("/"), medium(MediaType::Image, "https://x.example/a.png", None))).await.unwrap();
    let data = receiver.only().json()["data"].clone();
    assert_eq!(data["mediaUrl"], "https://x.example/a.png");
    assert_eq!(data["mediaType"], "image");
    assert_eq!(data["message"], json!(null));

    receiver.forget();
    let odd = r#"{"z":1.0,"a":10000000000000000000000000001,"a":"é","n":{"b":[]}}"#;
    sender().send(&to(&receiver.url("/"), payload(odd))).await.unwrap();
    assert_eq!(receiver.only().body, odd.as_bytes());
}

#[tokio::test]
async fn a_receiver_can_verify_the_signature() {
    let receiver = HttpReceiver::start().await;
    sender().send(&to(&receiver.url("/"), text("Olá"))).await.unwrap();
    let request = receiver.only();
    let header = |name| request.header(name).unwrap().to_owned();
    let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend(&request.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac_by_hand(&STANDARD.decode(&SECRET[6..]).unwrap(), &signed)));
    assert_eq!(header("webhook-signature"), expected);
}

/// RFC 2104, from the hash alone.
fn hmac_by_hand(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| (0..64).map(move |i| key.get(i).unwrap_or(&0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

#[test]
fn the_published_example_of_standard_webhooks_is_met() {
    let signature = SigningSecret::parse(SECRET).unwrap().sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn the_status_decides() {
    let receiver = HttpReceiver::start().await;
    let sender = sender();
    let cases = [
        (200, "sent"),
        (201, "sent"),
        (202, "sent"),
        (204, "sent"),
        (299, "sent"),
        (300, "refused"),
        (301, "refused"),
        (302, "refused"),
        (304, "refused"),
        (307, "refused"),
        (308, "refused"),
        (400, "refused"),
        (401, "refused"),
        (404, "refused"),
        (408, "transient"),
        (409, "refused"),
        (410, "refused"),
        (413, "refused"),
        (422, "refused"),
        (425, "transient"),
        (429, "transient"),
        (499, "refused"),
        (500, "transient"),
        (502, "unknown"),
        (503, "transient"),
        (504, "unknown"),
        (519, "transient"),
        (520, "unknown"),
        (524, "unknown"),
        (525, "transient"),
        (599, "transient"),
        (600, "transient"),
        (999, "transient"),
    ];
    for (status, expected) in cases {
        receiver.always(Answer::new(status, "").with("location", "/elsewhere"));
        let verdict = sender.send(&to(&receiver.url("/"), text("Olá"))).await;
        assert_eq!(ending(&verdict), expected, "{status}");
    }
    assert_eq!(receiver.received().len(), cases.len(), "no redirect was followed");
}

#[tokio::test]
async fn what_it_said_is_kept_in_one_short_line() {
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(503, format!("  <b>ocupado</b>\r\n\tjá\0 volto {}", "x".repeat(1000))));
    let error = sender().send(&to(&receiver.url("/"), text("Olá"))).await.unwrap_err();
    let start = "HTTP 503 from the webhook: <b>ocupado</b> já volto xxx";
    assert!(error.reason.starts_with(start), "{error}");
    assert_eq!(error.reason.chars().count(), "HTTP 503 from the webhook: ".len() + 300);
    assert_eq!(error.http_status, Some(503));

    receiver.always(Answer::new(503, ""));
    let error = sender().send(&to(&receiver.url("/"), text("Olá"))).await.unwrap_err();
    assert_eq!(error.reason, "HTTP 503 from the webhook");
}

#[tokio::test]
async fn it_comes_back_when_it_is_told_to() {
    let receiver = HttpReceiver::start().await;
    let sender = sender();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let cases = [
        (503, "120", seconds(120)),
        (429, " 7 ", seconds(7)),
        (500, "0", seconds(0)),
        (429, "Sun, 18 Jan 2026 12:01:00 GMT", Some(Duration::from_millis(59_750))),
        (429, "Sun, 18 Jan 2026 11:00:00 GMT", seconds(0)),
        (429, "soon", None),
        (429, "-1", None),
        (429, "1.5", None),
        (429, "", None),
    ];
    for (status, header, retry_after) in cases {
        receiver.always(Answer::new(status, "").with("retry-after", header));
        let error = sender.send(&to(&receiver.url("/"), text("Olá"))).await.unwrap_err();
        assert_eq!(error.kind, DeliveryErrorKind::Transient { retry_after }, "{header}");
    }
}

#[tokio::test]
async fn a_success_whose_body_is_lost_or_without_end_is_a_success() {
    let receiver = HttpReceiver::start().await;
    receiver.next(Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut".to_vec()));
    receiver.next(Answer::Endless([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 10_000]].concat()));
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(ending(&sender().send(&to(&receiver.url("/"), text("Olá"))).await), "sent");
        assert!(start.elapsed() < PLENTY / 2, "it reads only so much");
    }
}

#[test]
fn a_secret_is_checked_or_made() {
    let sender = sender();
    for absent in [None, Some(json!(null)), Some(json!({})), Some(json!({"secret": null}))] {
        let new = sender.check_credentials(absent.as_ref()).expect("one is made");
        let revealed = new.reveal.expect("the client is told");
        assert_eq!(revealed.to_string(), new.credentials.expose());
        let secret = revealed["secret"].as_str().unwrap();
        assert_eq!(STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
        let other = sender.check_credentials(absent.as_ref()).unwrap().reveal.unwrap();
        assert_ne!(other, revealed);
    }

    let of = |bytes| json!({ "secret": format!("whsec_{}", STANDARD.encode(vec![7; bytes])) });
    for valid in [json!({ "secret": SECRET }), of(24), of(64)] {
        let new = sender.check_credentials(Some(&valid)).expect("a valid secret");
        assert_eq!(new.credentials.expose(), valid.to_string());
        assert_eq!(new.reveal, None);
    }

    // What can mean one key only is taken, and sent on as it should have been written.
    let key = format!("whsec_{}", STANDARD.encode([0xfb; 25]));
    let url_safe = key.replace('+', "-").replace('/', "_");
    let unpadded = url_safe.trim_end_matches('=');
    assert!(unpadded.contains('-') && unpadded != url_safe);
    for clear in [&format!("v1,{key}"), unpadded, &url_safe, &format!("{key}\n"), &format!(" {key}\r\n")] {
        let new = sender.check_credentials(Some(&json!({ "secret": clear }))).expect("a clear secret");
        assert_eq!(new.credentials.expose(), json!({ "secret": key }).to_string(), "{clear:?}");
    }

    let said = |secret: &str| {
        let problems = sender.check_credentials(Some(&json!({ "secret": secret }))).err().unwrap();
        problems.into_iter().map(|problem| problem.detail).collect::<String>()
    };
    assert!(said("c2VjcmV0").contains("begin with `whsec_`"), "{}", said("c2VjcmV0"));
    assert!(said("whsec_não").contains("base64 after `whsec_`"), "{}", said("whsec_não"));
    assert!(said("whsec_c2VjcmV0").contains("and is 6"), "{}", said("whsec_c2VjcmV0"));

    let secret = ["/credentials/secret".to_owned()];
    let short = json!({ "secret": "whsec_" });
    for invalid in [of(23), of(65), short, json!({"secret": ""}), json!({"secret": &SECRET[6..]}), json!({"secret": 5})]
    {
        assert_eq!(sender.check_credentials(Some(&invalid)).err().map(paths), Some(secret.to_vec()), "{invalid}");
    }
    let many = json!({"secret": false, "secert": SECRET});
    let problems = sender.check_credentials(Some(&many)).err().map(paths).unwrap();
    assert_eq!(problems, ["/credentials/secert", "/credentials/secret"]);
}
