use chrono::{TimeZone, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::corpus::prove;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::message::{Content, Media, MediaType, MediaUrl, MessageStatus};
use crate::domain::node::NodeId;
use crate::samples::{instance, message_of};

fn message(recipient: &str, content: Content) -> Message {
    let at = Utc.timestamp_millis_opt(1_700_000_000_123).unwrap();
    let instance = Instance { id: InstanceId(Uuid::from_u128(2)), ..instance("acme", "pedidos") };
    let message = message_of(&instance, MessageStatus::Queued, NodeId(Uuid::nil()));
    let (id, recipient) = (MessageId(Uuid::from_u128(1)), recipient.to_owned());
    Message { id, recipient, content, created_at: at, updated_at: at, ..message }
}

fn text(text: &str) -> Content {
    Content { text: Some(text.to_owned()), ..Content::default() }
}

#[test]
fn a_record_says_everything_about_its_message() {
    let media = Media { url: MediaUrl::parse("https://a/b.png").unwrap(), media_type: MediaType::Image };
    let payload = Some("{\"b\":1.0,\"a\":2}".to_owned());
    let content = Content { text: Some("Olá".to_owned()), media: Some(media), payload, template: None, record: None };
    let mut message = message("5511999", content);
    let expected = "{\"version\":1,\"type\":\"message.send\",\"messageId\":\"00000000-0000-0000-0000-000000000001\",\
        \"tenant\":\"acme\",\"userId\":\"user\",\"instanceId\":\"00000000-0000-0000-0000-000000000002\",\
        \"channel\":\"webhook\",\"channelInstanceId\":\"pedidos\",\"remoteJid\":\"5511999\",\"message\":\"Olá\",\
        \"mediaUrl\":\"https://a/b.png\",\"mediaType\":\"image\",\"payload\":{\"b\":1.0,\"a\":2},\"maxRetries\":5,\
        \"createdAt\":\"2023-11-14T22:13:20.123Z\"}";
    assert_eq!(String::from_utf8(value(&message, LARGEST_VALUE)).unwrap(), expected);
    assert_eq!(key(&message), b"00000000-0000-0000-0000-000000000002:5511999");
    message.content.template = Some("{\"name\":\"oi\"}".to_owned());
    let expected = expected.replace(",\"maxRetries\"", ",\"template\":{\"name\":\"oi\"},\"maxRetries\"");
    assert_eq!(String::from_utf8(value(&message, LARGEST_VALUE)).unwrap(), expected);
}

#[test]
fn what_changes_in_a_row_changes_nothing_in_its_record() {
    let before = message("a", text("b"));
    let mut after = before.clone();
    after.status = MessageStatus::Failed;
    after.tries = 3;
    after.try_number = 3;
    after.error = Some("no".to_owned());
    after.updated_at = Utc::now();
    assert_eq!(value(&before, LARGEST_VALUE), value(&after, LARGEST_VALUE));
}

#[test]
fn what_is_too_large_travels_as_a_reference() {
    for message in [message("a", text(&"x".repeat(LARGEST_VALUE))), message(&"y".repeat(LARGEST_VALUE), text("b"))] {
        let value = value(&message, LARGEST_VALUE);
        assert!(value.len() < 1_024 + LONGEST_TEXT);
        assert!(key(&message).len() < 2 * LONGEST_TEXT);
        let json: Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(json["contentOmitted"], true);
        assert!(json.get("message").is_none() && json.get("payload").is_none());
        assert_eq!(decode(Some(&value)).unwrap().message_id, message.id);
    }
}

#[test]
fn long_recipients_have_keys_of_their_own() {
    let [one, other] = ["a", "b"].map(|letter| key(&message(&letter.repeat(5_000), text("x"))));
    assert_ne!(one, other);
}

#[test]
fn a_record_that_is_none_of_ours_is_told_why() {
    let (message, instance) = (Uuid::nil(), Uuid::nil());
    let ours = json!({
        "version": 1, "type": KIND, "messageId": message, "instanceId": instance, "channel": "webhook", "new": [1],
    });
    assert!(decode(Some(ours.to_string().as_bytes())).is_ok());
    let with = |member: &str, value: Value| {
        let mut record = ours.clone();
        record[member] = value;
        decode(Some(record.to_string().as_bytes())).unwrap_err()
    };
    assert_eq!(decode(None).unwrap_err(), "is empty (a tombstone)");
    assert_eq!(decode(Some(b"")).unwrap_err(), "is empty (a tombstone)");
    assert!(decode(Some(b"hello")).unwrap_err().starts_with("is not JSON: "));
    assert!(decode(Some(b"\xff\xfe")).unwrap_err().starts_with("is not JSON: "));
    assert_eq!(decode(Some(b"[1]")).unwrap_err(), "is JSON, but not an object");
    assert!(decode(Some(b"[1")).unwrap_err().starts_with("is not JSON: "));
    assert!(decode(Some(br#"{"version":1,"version":1}"#)).unwrap_err().starts_with("cannot be read: "));
    assert!(decode(Some(br#"{"version":1,"version":1"#)).unwrap_err().starts_with("is not JSON: "));
    assert!(decode(Some(br#"{"version":1e400}"#)).unwrap_err().starts_with("cannot be read: "));
    assert!(decode(Some(br#"{"messageId":"\ud800"}"#)).unwrap_err().starts_with("cannot be read: "));
    assert_eq!(with("version", 7.into()), "has version 7; this release reads version 1");
    assert_eq!(with("version", "1".into()), "has version \"1\"; this release reads version 1");
    assert_eq!(with("type", Value::Null), "has type null, not `message.send`");
    assert_eq!(with("messageId", "x".into()), "has messageId \"x\", which is not a UUID");
    assert_eq!(with("channel", 7.into()), "has channel 7, which is not a name");
}

#[test]
fn a_record_may_hold_whatever_a_row_may() {
    for payload in ["1e400", "\"\\ud800\"", &"[".repeat(200), "no JSON"] {
        let payload = if payload.starts_with('[') { payload.to_owned() + &"]".repeat(200) } else { payload.to_owned() };
        let message = message("a", Content { payload: Some(payload), ..Content::default() });
        assert_eq!(decode(Some(&value(&message, LARGEST_VALUE))).map(|request| request.message_id), Ok(message.id));
    }
    let mut nameless = message("a", text("b"));
    nameless.channel = ChannelName::new("");
    assert!(decode(Some(&value(&nameless, LARGEST_VALUE))).is_ok());
}

#[test]
fn no_text_of_a_row_makes_a_reference_too_large() {
    let long = || "é".repeat(LARGEST_VALUE);
    let mut message = message(&long(), text(&long()));
    message.channel = ChannelName::new(long());
    message.channel_instance_id = long();
    message.user_id = long();
    let value = value(&message, LARGEST_VALUE);
    assert!(value.len() < 1_024, "{}", value.len());
    assert_eq!(decode(Some(&value)).map(|request| request.message_id), Ok(message.id));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(Some(&bytes));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[\\[{]{0,300}|\\{\"(version|type|messageId|channel)\":\\PC{0,10}\\}") {
        let _ = decode(Some(text.as_bytes()));
    }

    #[test]
    fn what_is_encoded_is_understood(id in any::<u128>(), recipient in "\\PC{0,40}", said in "\\PC{0,200}", limit in 0..600_usize) {
        let mut message = message(&recipient, text(&said));
        message.id = MessageId(Uuid::from_u128(id));
        let value = value(&message, limit);
        let omits_content = std::str::from_utf8(&value).unwrap().contains("\"contentOmitted\":true");
        let expected = DeliveryRequest { message_id: message.id, instance: message.instance_id, channel: message.channel, omits_content };
        prop_assert_eq!(decode(Some(&value)).unwrap(), expected);
    }
}

#[test]
fn a_record_is_one_of_ours_or_refused_with_the_end_of_a_sentence() {
    prove("kafka-event", |bytes| match decode(Some(bytes)) {
        Ok(request) => {
            let text = std::str::from_utf8(bytes).expect("what is JSON is text");
            assert!(text.trim_start().starts_with('{') && text.contains("version"), "{text}");
            assert!(!request.message_id.to_string().is_empty());
        }
        Err(reason) => {
            assert!(["is ", "has ", "cannot "].iter().any(|start| reason.starts_with(start)), "{reason}");
            assert!(!reason.contains('\0') && !reason.contains('\n') && reason.chars().count() < 1_000, "{reason}");
        }
    });
}
