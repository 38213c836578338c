//! The example channel of `docs/extending/channel.md` keeps a channel's contract, and does what the page says of it.

use correio::application::ports::{ChannelSender, Delivery};
use correio::domain::message::MediaType;
use serde_json::{Value, json};

use super::ntfy_example::NtfySender;
use super::{PATIENCE, PLENTY, clock, delivery, medium, paths, text};
use crate::contracts::delivery::channel_sender::{ChannelUnderTest, ending, prove};
use crate::support::http_receiver::{Answer, HttpReceiver};

const TOKEN: &str = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2";

#[tokio::test]
async fn it_keeps_the_contract_of_a_channel() {
    prove(ChannelUnderTest {
        sender: &NtfySender::new(PATIENCE, Default::default(), clock()).unwrap(),
        delivery: &|base| delivery(base, &json!({ "token": TOKEN }), "orders", text("Olá")),
        accepting: Answer::json(200, &json!({ "id": "sPs71M8A2T" })),
        secrets: vec![TOKEN.to_owned()],
        patience: PATIENCE,
        busy: &[429, 503],
        steady_headers: &["authorization", "user-agent"],
    })
    .await;
}

fn sender() -> NtfySender {
    NtfySender::new(PLENTY, Default::default(), clock()).unwrap()
}

fn to(base: &str) -> Delivery {
    delivery(base, &json!({ "token": TOKEN }), "orders", text("Olá"))
}

#[tokio::test]
async fn a_message_is_published_to_its_topic() {
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::json(200, &json!({ "id": "sPs71M8A2T" })));
    let acceptance = sender().send(&to(&receiver.url("/"))).await.unwrap();
    assert_eq!((acceptance.channel_message_id.as_deref(), acceptance.http_status), (Some("sPs71M8A2T"), Some(200)));

    let request = receiver.only();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/orders"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(request.body, "Olá".as_bytes());
}

#[tokio::test]
async fn what_it_answers_says_whether_another_try_makes_sense() {
    let receiver = HttpReceiver::start().await;
    let cases =
        [(400, "refused"), (401, "misconfigured"), (403, "misconfigured"), (429, "transient"), (507, "transient")];
    for (status, expected) in cases {
        receiver.always(Answer::new(status, "no"));
        assert_eq!(ending(&sender().send(&to(&receiver.url(""))).await), expected, "{status}");
    }
}

#[test]
fn what_can_be_known_before_is_refused_before() {
    let sender = sender();
    assert_eq!(sender.check_address("https://ntfy.sh").map_err(paths), Ok(()));
    assert_eq!(sender.check_address("ntfy.sh").map_err(paths), Err(vec!["/channelPhoneOrId".to_owned()]));
    assert_eq!(sender.check_message("orders", &text("Olá")).map_err(paths), Ok(()));
    let image = medium(MediaType::Image, "https://example.org/a.png", None);
    let expected = ["/remoteJid", "/message"].map(str::to_owned).to_vec();
    assert_eq!(sender.check_message("a/b", &image).map_err(paths), Err(expected));

    let credentials = sender.check_credentials(Some(&json!({ "token": TOKEN }))).ok().unwrap().credentials;
    let stored: Value = serde_json::from_str(credentials.expose()).unwrap();
    assert_eq!(stored, json!({ "token": TOKEN }));
}
