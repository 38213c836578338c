use std::time::Duration;

use correio::application::ports::{ChannelSender, Delivery};
use correio::domain::instance::ConnectionStatus;
use correio::domain::message::{Content, MediaType};
use correio::infrastructure::channels::{MetaSettings, WhatsappOficialSender};
use serde_json::{Value, json};

use super::{PATIENCE, PLENTY, clock, delivery, medium, paths, payload, template, text};
use crate::contracts::delivery::channel_sender::{ChannelUnderTest, prove};
use crate::support::http_receiver::{Answer, HttpReceiver, ReceivedRequest};

pub const ACCESS_TOKEN: &str = "EAAGm0PX4ZCpsBAJd3sF9kQ2";
const APP_SECRET: &str = "5e1f0c3a9b7d4e2f8a6c1b3d5e7f9a0b";
const NUMBER_ID: &str = "106540352242922";

pub fn sender() -> WhatsappOficialSender {
    sender_that_waits(PLENTY)
}

pub fn sender_that_waits(timeout: Duration) -> WhatsappOficialSender {
    let settings = MetaSettings { connect_timeout: timeout / 3, send_timeout: timeout, ..MetaSettings::default() };
    WhatsappOficialSender::new(settings, clock()).unwrap()
}

fn given(base_url: &str) -> Value {
    json!({ "accessToken": ACCESS_TOKEN, "appSecret": APP_SECRET, "verifyToken": "ours", "baseUrl": base_url })
}

pub fn to(base_url: &str, recipient: &str, content: Content) -> Delivery {
    delivery(NUMBER_ID, &given(base_url), recipient, content)
}

pub fn accepted() -> Answer {
    Answer::json(
        200,
        &json!({
            "messaging_product": "whatsapp", "contacts": [{"input": "5511999999999", "wa_id": "551199999999"}],
            "messages": [{"id": "wamid.HBgLA1", "message_status": "accepted"}]
        }),
    )
}

#[tokio::test]
async fn it_keeps_the_contract_of_a_channel() {
    prove(ChannelUnderTest {
        sender: &sender_that_waits(PATIENCE),
        delivery: &|base| to(base, "5511999999999", text("Olá")),
        accepting: accepted(),
        secrets: vec![ACCESS_TOKEN.to_owned()],
        patience: PATIENCE,
        // A 503 is not Meta's own word: it may have been taken.
        busy: &[429],
        steady_headers: &["authorization", "content-type", "user-agent"],
    })
    .await;
}

async fn request_for(recipient: &str, content: Content) -> ReceivedRequest {
    let receiver = HttpReceiver::start().await;
    receiver.always(accepted());
    let acceptance = sender().send(&to(&receiver.url(""), recipient, content)).await.unwrap();
    assert_eq!((acceptance.channel_message_id.as_deref(), acceptance.http_status), (Some("wamid.HBgLA1"), Some(200)));
    receiver.only()
}

/// What every message has in common, and that it has our id.
fn own(request: &ReceivedRequest) -> Value {
    let mut body = request.json();
    let members = body.as_object_mut().unwrap();
    assert_eq!(members.remove("messaging_product"), Some(json!("whatsapp")));
    let own_id = members.remove("biz_opaque_callback_data").unwrap();
    assert_eq!(own_id.as_str().unwrap().parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    body
}

#[tokio::test]
async fn a_text_is_sent() {
    let said = "Olá, coração! Não é \"só\" isso… 🎉\n";
    let request = request_for("+55 (11) 99999-9999", text(said)).await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v26.0/106540352242922/messages"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {ACCESS_TOKEN}").as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let expected = json!({
        "recipient_type": "individual", "to": "5511999999999", "type": "text",
        "text": {"body": said, "preview_url": false},
    });
    assert_eq!(own(&request), expected);
}

#[tokio::test]
async fn a_medium_is_sent_by_its_link() {
    use MediaType::*;
    let url = "https://x.example/Relat%C3%B3rio%20final.pdf?v=1";
    let cases = [
        (Image, url, Some("Legenda"), json!({"link": url, "caption": "Legenda"})),
        (Image, url, Some(" "), json!({"link": url})),
        (Video, url, None, json!({"link": url})),
        (Audio, url, Some("not sent"), json!({"link": url})),
        (Document, url, Some("Legenda"), json!({"link": url, "caption": "Legenda", "filename": "Relatório final.pdf"})),
        (Document, "https://x.example/uploads/123", None, json!({"link": "https://x.example/uploads/123"})),
        (Document, "https://x.example/.pdf", None, json!({"link": "https://x.example/.pdf"})),
        (Document, "https://x.example", None, json!({"link": "https://x.example"})),
    ];
    for (media_type, url, caption, expected) in cases {
        let body = own(&request_for("5511999999999", medium(media_type, url, caption)).await);
        let kind = media_type.as_str();
        let expected = json!({"recipient_type": "individual", "to": "5511999999999", "type": kind, kind: expected});
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_template_is_passed_on_as_it_is() {
    let written = r#"{"name":"pedido","language":{"code":"pt_BR"},"components":[{"type":"body","parameters":[{"type":"currency","currency":{"amount_1000":4500.00}}]}]}"#;
    let beside = Content { text: Some("Seu pedido saiu".to_owned()), ..template(written) };
    for content in [template(written), beside] {
        let request = request_for("5511999999999", content).await;
        let body = String::from_utf8(request.body.clone()).unwrap();
        assert!(body.contains(&format!("\"template\":{written}")), "{body}");
        let expected = json!({
            "recipient_type": "individual", "to": "5511999999999", "type": "template",
            "template": serde_json::from_str::<Value>(written).unwrap(),
        });
        assert_eq!(own(&request), expected, "a text beside it is its sender's own");
    }
}

#[tokio::test]
async fn a_recipient_is_a_number_a_user_or_a_group() {
    let group = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD";
    let good = [
        ("5585999999999", "individual", "to", "5585999999999"),
        ("+55 (85) 9.9999-9999", "individual", "to", "5585999999999"),
        ("5585999999999@s.whatsapp.net", "individual", "to", "5585999999999"),
        ("IN.26874123", "individual", "recipient", "IN.26874123"),
        ("BR.ENT.1349120865530274", "individual", "recipient", "BR.ENT.1349120865530274"),
        ("120363041234567890@g.us", "group", "to", "120363041234567890@g.us"),
        (group, "group", "to", group),
    ];
    for (recipient, kind, member, value) in good {
        assert_eq!(sender().check_message(recipient, &text("Olá")), Ok(()), "{recipient}");
        let body = own(&request_for(recipient, text("Olá")).await);
        assert_eq!((&body["recipient_type"], &body[member]), (&json!(kind), &json!(value)));
        let other = if member == "to" { "recipient" } else { "to" };
        assert_eq!(body.get(other), None);
    }
    let long = "5".repeat(300);
    let bad = [
        "",
        "+",
        "--",
        "João",
        "55859999x",
        "++5585",
        "@g.us",
        "a@b",
        "123@lid",
        "x@s.whatsapp.net",
        "5 5@g.us",
        "br.123",
        "BRA.123",
        "BR.",
        "BR.12 3",
        "BR.1.2",
        &long,
    ];
    for recipient in bad {
        let problems = sender().check_message(recipient, &text("Olá")).map_err(paths);
        assert_eq!(problems, Err(vec!["/remoteJid".to_owned()]), "{recipient}");
    }
}

#[test]
fn a_message_is_a_text_a_medium_or_a_template() {
    let check = |content: &Content| sender().check_message("5585999999999", content).map_err(paths);
    let image = || medium(MediaType::Image, "https://x.example/a", None);
    assert_eq!(check(&image()), Ok(()));
    assert_eq!(check(&template("{}")), Ok(()));
    assert_eq!(check(&Content { text: Some("Olá".to_owned()), ..template("{}") }), Ok(()));
    for silent in [Content::default(), text(""), text(" \n")] {
        assert_eq!(check(&silent), Err(vec!["/message".to_owned()]));
    }
    assert_eq!(check(&payload("{}")), Err(vec!["/payload".to_owned()]));
    assert_eq!(check(&Content { payload: Some("{}".to_owned()), ..text("Olá") }), Err(vec!["/payload".to_owned()]));
    assert_eq!(check(&Content { template: Some("{}".to_owned()), ..image() }), Err(vec!["/mediaUrl".to_owned()]));
    let both = sender().check_message("x", &Content::default()).map_err(paths);
    assert_eq!(both, Err(vec!["/remoteJid".to_owned(), "/message".to_owned()]));
}

#[tokio::test]
async fn the_base_may_have_a_path_and_the_version_is_a_setting() {
    let cases = [
        ("", None, "/v26.0/106540352242922/messages"),
        ("/", Some("v24.0"), "/v24.0/106540352242922/messages"),
        ("/meta/", Some("v25.1"), "/meta/v25.1/106540352242922/messages"),
    ];
    for (path, version, expected) in cases {
        let receiver = HttpReceiver::start().await;
        receiver.always(accepted());
        let mut given = given(&receiver.url(path));
        given["version"] = json!(version);
        let mut delivery = to("", "5511999999999", text("Olá"));
        delivery.credentials = sender().check_credentials(Some(&given)).expect("valid credentials").credentials;
        sender().send(&delivery).await.unwrap();
        assert_eq!(receiver.only().path, expected);
    }
}

#[test]
fn credentials_are_checked() {
    let sender = sender();
    assert_eq!(sender.channel().as_str(), "whatsapp_oficial");
    assert_eq!(sender.initial_status(), ConnectionStatus::Connected);
    assert!(sender.takes_templates() && sender.gives_receipts() && !sender.retries_unknown());
    let with = |name: &str, value: Value| {
        let mut given = given("https://graph.facebook.com");
        given[name] = value;
        given
    };
    let valid = with("version", json!("v26.0"));
    let new = sender.check_credentials(Some(&valid)).unwrap();
    assert_eq!((new.credentials.expose(), new.reveal), (valid.to_string().as_str(), None));
    let fewest = json!({"accessToken": "EAAG", "appSecret": "5e1f", "verifyToken": "ours"});
    assert_eq!(sender.check_credentials(Some(&fewest)).unwrap().credentials.expose(), fewest.to_string());

    let bad_tokens = [json!(""), json!("a\n"), json!(5), json!(null), json!("x".repeat(4097))];
    let bad_for_a_header = [json!("a b"), json!("é")];
    let bad_urls = ["", "graph.facebook.com", "ftp://x", "http://u:p@x", "http://x?key=1"];
    let bad_versions =
        ["", "26.0", "v26", "v.", "v26.", "v26.0.1", "V26.0", "v26.0/106", "v٢.0", "v1111111111111111.0"];
    let bad = ["accessToken", "appSecret", "verifyToken"]
        .into_iter()
        .flat_map(|name| bad_tokens.clone().map(|value| (name, value)))
        .chain(["accessToken", "appSecret"].into_iter().flat_map(|name| bad_for_a_header.clone().map(|it| (name, it))))
        .chain(bad_urls.map(|url| ("baseUrl", json!(url))))
        .chain(bad_versions.map(|version| ("version", json!(version))))
        .chain([("apiKey", json!("typo")), ("version", json!(26))]);
    for (name, value) in bad {
        let problems = sender.check_credentials(Some(&with(name, value.clone()))).err().map(paths);
        assert_eq!(problems, Some(vec![format!("/credentials/{name}")]), "{value}");
    }
    for absent in [None, Some(json!({}))] {
        let problems = sender.check_credentials(absent.as_ref()).err().map(paths).unwrap();
        assert_eq!(problems, ["/credentials/accessToken", "/credentials/appSecret", "/credentials/verifyToken"]);
    }
    assert!(sender.check_address(NUMBER_ID).is_ok());
    for number in ["", "+5511999999999", "11 9", "1065a", "٣", &"1".repeat(33)] {
        assert_eq!(sender.check_address(number).map_err(paths), Err(vec!["/channelPhoneOrId".to_owned()]));
    }
}
