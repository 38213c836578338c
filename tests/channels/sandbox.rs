use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use correio::application::ports::ChannelSender;
use correio::domain::instance::ConnectionStatus;
use correio::domain::message::delivery::{Acceptance, DeliveryError};
use correio::infrastructure::channels::SandboxSender;
use futures::poll;
use serde_json::json;

use super::{clock, delivery, paths, text};
use crate::application::scripted::ManualClock;
use crate::contracts::delivery::channel_sender::ending;

const MILLISECOND: Duration = Duration::from_millis(1);

fn sender() -> SandboxSender {
    SandboxSender::new(clock())
}

#[tokio::test]
async fn the_recipient_says_how_it_ends_and_when() {
    let cases = [
        ("5585999999999", "sent", 0),
        ("", "sent", 0),
        ("fail-transient", "transient", 0),
        ("fail-transient-7", "transient", 0),
        ("fail-permanent@x", "refused", 0),
        ("never-fail-permanent", "sent", 0),
        ("slow-30ms", "sent", 30),
        ("slow-30ms-fail-permanent", "refused", 30),
        ("slow-30msfail-transient", "transient", 30),
        ("slow-30ms-slow-40ms-fail-transient", "transient", 70),
        ("slow-ms-fail-permanent", "sent", 0),
        ("slow--5ms", "sent", 0),
        ("slow-x", "sent", 0),
    ];
    for (recipient, expected, milliseconds) in cases {
        let verdict = after_exactly(Duration::from_millis(milliseconds), recipient).await;
        assert_eq!(ending(&verdict), expected, "{recipient}");
    }
}

#[tokio::test]
async fn no_wait_is_longer_than_a_real_channels() {
    let verdict = after_exactly(Duration::from_secs(30), "slow-99999999999999999999999ms").await;
    assert_eq!(ending(&verdict), "sent");
}

/// How a try ends whose clock goes on by `wait`. No other time passes for it.
async fn after_exactly(wait: Duration, recipient: &str) -> Result<Acceptance, DeliveryError> {
    let clock = Arc::new(ManualClock::new());
    let sender = SandboxSender::new(clock.clone());
    let delivery = delivery("", &json!({}), recipient, text("Olá"));
    let mut attempt = sender.send(&delivery);
    if let Some(almost) = wait.checked_sub(MILLISECOND) {
        assert!(poll!(&mut attempt).is_pending(), "{recipient}");
        clock.advance(almost);
        assert!(poll!(&mut attempt).is_pending(), "{recipient}");
        clock.advance(MILLISECOND);
    }
    match poll!(&mut attempt) {
        Poll::Ready(verdict) => verdict,
        Poll::Pending => panic!("{recipient} still waits"),
    }
}

#[tokio::test]
async fn its_id_is_the_messages() {
    let delivery = delivery("", &json!({}), "x", text("Olá"));
    let acceptance = sender().send(&delivery).await.unwrap();
    assert_eq!(acceptance.channel_message_id, Some(format!("sandbox-{}", delivery.message_id)));
    assert_eq!(acceptance.http_status, None);
}

#[test]
fn it_takes_anything_but_credentials() {
    assert_eq!(sender().channel().as_str(), "sandbox");
    assert_eq!(sender().initial_status(), ConnectionStatus::Connected);
    assert_eq!(sender().check_address(""), Ok(()));
    assert_eq!(sender().check_message("", &text("")), Ok(()));
    for given in [None, Some(json!(null)), Some(json!({}))] {
        let new = sender().check_credentials(given.as_ref()).expect("none are needed");
        assert_eq!(new.credentials.expose(), "{}");
        assert_eq!(new.reveal, None);
    }
    for given in [json!({"secret": "x"}), json!("x"), json!([]), json!(0)] {
        assert_eq!(sender().check_credentials(Some(&given)).err().map(paths), Some(vec!["/credentials".to_owned()]));
    }
}
