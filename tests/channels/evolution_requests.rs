use std::time::Duration;

use correio::application::ports::{ChannelSender, Delivery};
use correio::domain::instance::ConnectionStatus;
use correio::domain::message::{Content, MediaType};
use correio::infrastructure::channels::{EvolutionSettings, WhatsappEvolutionSender};
use serde_json::{Value, json};

use super::{PATIENCE, PLENTY, clock, delivery, medium, paths, payload, text};
use crate::contracts::delivery::channel_sender::{ChannelUnderTest, prove};
use crate::support::http_receiver::{Answer, HttpReceiver, ReceivedRequest};

pub const API_KEY: &str = r#"B6D7"11F\CDE4+D4FD/5936"#;

pub fn sender() -> WhatsappEvolutionSender {
    sender_that_waits(PLENTY)
}

pub fn sender_that_waits(timeout: Duration) -> WhatsappEvolutionSender {
    let settings = EvolutionSettings {
        connect_timeout: timeout / 3,
        send_timeout: timeout,
        state_timeout: timeout / 3,
        ..EvolutionSettings::default()
    };
    WhatsappEvolutionSender::new(settings, clock()).unwrap()
}

pub fn to(base_url: &str, recipient: &str, content: Content) -> Delivery {
    delivery("5585900000000", &json!({ "baseUrl": base_url, "apiKey": API_KEY }), recipient, content)
}

/// The body, without the id that we give the message, which has the form that Baileys gives to its own.
fn without_own_id(request: &ReceivedRequest) -> Value {
    let mut body = request.json();
    let own_id = body.as_object_mut().unwrap().remove("messageId").expect("an id of ours");
    let digits = own_id.as_str().unwrap().strip_prefix("3EB0").unwrap();
    assert!(digits.len() == 18 && digits.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte)), "{own_id}");
    body
}

pub fn accepted() -> Answer {
    Answer::json(
        201,
        &json!({
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "fromMe": true, "id": "3EB0A1"}, "pushName": "Você",
            "status": "PENDING", "message": {"conversation": "hi"}, "messageType": "conversation",
            "messageTimestamp": 1_760_000_000, "instanceId": "uuid", "source": "web"
        }),
    )
}

#[tokio::test]
async fn it_keeps_the_contract_of_a_channel() {
    prove(ChannelUnderTest {
        sender: &sender_that_waits(PATIENCE),
        delivery: &|base| to(base, "5511999999999", text("Olá")),
        accepting: accepted(),
        secrets: vec![API_KEY.to_owned()],
        patience: PATIENCE,
        busy: &[429, 503],
        steady_headers: &["apikey", "content-type", "user-agent"],
    })
    .await;
}

async fn request_for(recipient: &str, content: Content) -> ReceivedRequest {
    let receiver = HttpReceiver::start().await;
    receiver.always(accepted());
    let acceptance = sender().send(&to(&receiver.url(""), recipient, content)).await.unwrap();
    assert_eq!(acceptance.channel_message_id.as_deref(), Some("3EB0A1"));
    assert_eq!(acceptance.http_status, Some(201));
    receiver.only()
}

#[tokio::test]
async fn a_text_is_sent() {
    let request = request_for("+55 (11) 99999-9999", text("Olá, coração! Não é \"só\" isso… 🎉\n")).await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/message/sendText/loja"));
    assert_eq!(request.header("apikey"), Some(API_KEY));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(
        without_own_id(&request),
        json!({"number": "5511999999999", "text": "Olá, coração! Não é \"só\" isso… 🎉\n"})
    );
}

#[tokio::test]
async fn a_medium_is_sent_as_what_it_is() {
    use MediaType::*;
    let cases = [
        (Image, "https://x.example/foto.png", "foto.png", "image/png"),
        (Image, "https://x.example/a/FOTO.JPEG?v=1.pdf", "FOTO.JPEG", "image/jpeg"),
        (Image, "https://x.example/uploads/123", "image.jpg", "image/jpeg"),
        (Image, "https://x.example/foto.php", "image.jpg", "image/jpeg"),
        (Image, "https://x.example", "image.jpg", "image/jpeg"),
        (Image, "https://x.example/.png", "image.jpg", "image/jpeg"),
        (Video, "https://x.example/v.webm", "v.webm", "video/webm"),
        (Video, "https://x.example/v", "video.mp4", "video/mp4"),
        (Document, "https://x.example/Relat%C3%B3rio+final%20A%26B.pdf", "Relatório+final A&B.pdf", "application/pdf"),
        (Document, "https://x.example/a%2F..%2Fb%00.pdf", "a..b.pdf", "application/pdf"),
        (Document, "https://x.example/relatorio.xyzzy", "document.bin", "application/octet-stream"),
        (Document, "https://x.example/foto.png", "foto.png", "image/png"),
    ];
    for (media_type, url, file_name, mime_type) in cases {
        let request = request_for("5511999999999", medium(media_type, url, Some("Legenda ção"))).await;
        assert_eq!(request.path, "/message/sendMedia/loja");
        let expected = json!({
            "number": "5511999999999", "mediatype": media_type.as_str(), "media": url, "caption": "Legenda ção",
            "fileName": file_name, "mimetype": mime_type,
        });
        assert_eq!(without_own_id(&request), expected, "{url}");
    }
    for no_caption in [None, Some(""), Some("  ")] {
        let request = request_for("5511999999999", medium(Image, "https://x.example/foto.png", no_caption)).await;
        assert_eq!(request.json().get("caption"), None);
    }
}

#[tokio::test]
async fn audio_is_a_voice_message_without_a_caption() {
    let content = medium(MediaType::Audio, "https://x.example/voz.ogg", Some("not sent"));
    let request = request_for("5511999999999", content).await;
    assert_eq!(request.path, "/message/sendWhatsAppAudio/loja");
    assert_eq!(request.json(), json!({"number": "5511999999999", "audio": "https://x.example/voz.ogg"}));
}

#[tokio::test]
async fn the_base_may_have_a_path_and_the_instance_any_name() {
    let cases = [
        ("", None, "/message/sendText/loja"),
        ("/", None, "/message/sendText/loja"),
        ("/evolution", None, "/evolution/message/sendText/loja"),
        ("/evolution/", Some("a/b?c#d%20 é"), "/evolution/message/sendText/a%2Fb%3Fc%23d%2520%20%C3%A9"),
    ];
    for (path, instance_name, expected) in cases {
        let receiver = HttpReceiver::start().await;
        receiver.always(accepted());
        let given = json!({"baseUrl": receiver.url(path), "apiKey": API_KEY, "instanceName": instance_name});
        let stored = sender().check_credentials(Some(&given)).expect("valid credentials").credentials;
        let mut delivery = to("", "5511999999999", text("Olá"));
        delivery.credentials = stored;
        sender().send(&delivery).await.unwrap();
        assert_eq!(receiver.only().path, expected);
    }
}

#[test]
fn credentials_are_checked() {
    let sender = sender();
    assert_eq!(sender.channel().as_str(), "whatsapp_evolution");
    assert_eq!(sender.initial_status(), ConnectionStatus::Pending);
    let with = |name: &str, value: Value| {
        let mut given = json!({"baseUrl": "http://evolution:8080", "apiKey": "K", "instanceName": "loja"});
        given[name] = value;
        given
    };
    let valid = with("instanceName", json!("loja 2"));
    let new = sender.check_credentials(Some(&valid)).unwrap();
    assert_eq!(new.credentials.expose(), valid.to_string());
    assert_eq!(new.reveal, None);

    let bad_urls = ["", "evolution:8080", "ftp://x", "http://u:p@x", "http://x?key=1", "http://x#a", "http://"];
    let bad_keys = ["", "a b", "é", "a\nb", "\0"];
    let bad_names = [String::new(), ".".into(), "..".into(), "a\tb".into(), "a\0".into(), "x".repeat(256)];
    let bad = bad_urls
        .map(|url| ("baseUrl", json!(url)))
        .into_iter()
        .chain(bad_keys.map(|key| ("apiKey", json!(key))))
        .chain(bad_names.map(|name| ("instanceName", json!(name))))
        .chain(["baseUrl", "apiKey", "instanceName"].map(|name| (name, json!(5))))
        .chain(["baseUrl", "apiKey"].map(|name| (name, json!(null))))
        .chain([("apikey", json!("typo"))]);
    for (name, value) in bad {
        let problems = sender.check_credentials(Some(&with(name, value.clone()))).err().map(paths);
        assert_eq!(problems, Some(vec![format!("/credentials/{name}")]), "{value}");
    }
    for absent in [None, Some(json!({}))] {
        let problems = sender.check_credentials(absent.as_ref()).err().map(paths).unwrap();
        assert_eq!(problems, ["/credentials/baseUrl", "/credentials/apiKey"]);
    }
    for (url, key) in [("apiUrl", "apiToken"), ("url", "apiKey"), ("baseUrl", "apiToken")] {
        let given = json!({url: "http://evolution:8080", key: "K", "instanceName": "loja"});
        let stored = sender.check_credentials(Some(&given)).unwrap().credentials;
        let named = json!({"baseUrl": "http://evolution:8080", "apiKey": "K", "instanceName": "loja"});
        assert_eq!(stored.expose(), named.to_string());
    }
    let twice = json!({"url": "http://a", "apiUrl": "http://b", "apiToken": "a b"});
    let problems = sender.check_credentials(Some(&twice)).err().map(paths).unwrap();
    assert_eq!(problems, ["/credentials/url", "/credentials/apiToken"]);
    assert!(sender.check_address("5585900000000").is_ok());
    assert!(sender.check_address(" ").is_err());
}

#[tokio::test]
async fn a_recipient_is_a_number_or_a_jid() {
    let good = [
        ("5585999999999", "5585999999999"),
        ("+55 (85) 9.9999-9999", "5585999999999"),
        ("5585999999999@s.whatsapp.net", "5585999999999@s.whatsapp.net"),
        ("120363041234567890@g.us", "120363041234567890@g.us"),
        ("5511999999999-1612345678@g.us", "5511999999999-1612345678@g.us"),
        ("5511999999999-1612345678", "5511999999999-1612345678"),
        ("123456789@lid", "123456789@lid"),
    ];
    for (recipient, number) in good {
        assert_eq!(sender().check_message(recipient, &text("Olá")), Ok(()), "{recipient}");
        assert_eq!(request_for(recipient, text("Olá")).await.json()["number"], number);
    }
    let bad =
        ["", "+", "--", "João", "55859999x", "++5585", "55+85", "@g.us", "a@b", "5585@s.whatsapp.net@lid", "5 5@g.us"];
    for recipient in bad {
        let problems = sender().check_message(recipient, &text("Olá")).map_err(paths);
        assert_eq!(problems, Err(vec!["/remoteJid".to_owned()]), "{recipient}");
    }
}

#[test]
fn a_message_must_say_something() {
    let check = |content: &Content| sender().check_message("5585999999999", content).map_err(paths);
    assert_eq!(check(&medium(MediaType::Image, "https://x.example/a", None)), Ok(()));
    assert_eq!(check(&Content { payload: Some("{}".to_owned()), ..text("Olá") }), Ok(()));
    for silent in [Content::default(), text(""), text(" \n")] {
        assert_eq!(check(&silent), Err(vec!["/message".to_owned()]));
    }
    assert_eq!(check(&payload("{}")), Err(vec!["/payload".to_owned()]));
    let both = sender().check_message("x", &Content::default()).map_err(paths);
    assert_eq!(both, Err(vec!["/remoteJid".to_owned(), "/message".to_owned()]));
}
