use std::time::{Duration, Instant};

use correio::application::ports::ChannelSender;
use correio::domain::instance::ConnectionStatus;
use correio::infrastructure::channels::SandboxSender;
use serde_json::json;

use super::{delivery, paths, text};
use crate::contracts::delivery::channel_sender::ending;

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
    for (recipient, expected, at_least) in cases {
        let start = Instant::now();
        let verdict = SandboxSender.send(&delivery("", &json!({}), recipient, text("Olá"))).await;
        assert_eq!(ending(&verdict), expected, "{recipient}");
        assert!(start.elapsed() >= Duration::from_millis(at_least), "{recipient}");
    }
}

#[tokio::test]
async fn no_wait_is_without_end() {
    let delivery = delivery("", &json!({}), "slow-99999999999999999999999ms", text("Olá"));
    // Polled once: it must not fail on the number, and must wait.
    let waits = tokio::time::timeout(Duration::from_millis(20), SandboxSender.send(&delivery)).await;
    assert!(waits.is_err());
}

#[tokio::test]
async fn its_id_is_the_messages() {
    let delivery = delivery("", &json!({}), "x", text("Olá"));
    let acceptance = SandboxSender.send(&delivery).await.unwrap();
    assert_eq!(acceptance.channel_message_id, Some(format!("sandbox-{}", delivery.message_id)));
    assert_eq!(acceptance.http_status, None);
}

#[test]
fn it_takes_anything_but_credentials() {
    assert_eq!(SandboxSender.channel().as_str(), "sandbox");
    assert_eq!(SandboxSender.initial_status(), ConnectionStatus::Connected);
    assert_eq!(SandboxSender.check_address(""), Ok(()));
    assert_eq!(SandboxSender.check_message("", &text("")), Ok(()));
    for given in [None, Some(json!(null)), Some(json!({}))] {
        let new = SandboxSender.check_credentials(given.as_ref()).expect("none are needed");
        assert_eq!(new.credentials.expose(), "{}");
        assert_eq!(new.reveal, None);
    }
    for given in [json!({"secret": "x"}), json!("x"), json!([]), json!(0)] {
        assert_eq!(
            SandboxSender.check_credentials(Some(&given)).err().map(paths),
            Some(vec!["/credentials".to_owned()])
        );
    }
}
