//! Records as messages keep them: what reads as text where operators look for it, everything else beside it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::message::Content;
use crate::domain::topic::{Origin, RecordTime, TopicRecord};

/// What of a record is neither the message's payload nor its text.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rest {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Bytes>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, Option<Bytes>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    /// The timestamp is not its client's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    arrived: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erp: bool,
}

/// A text where it is one, so that people can read it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Base64 { base64: String },
}

impl Bytes {
    fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            // Of JSON that has U+0000 PostgreSQL shows no member.
            Ok(text) if !text.contains('\0') => Self::Text(text),
            Ok(text) => Self::Base64 { base64: STANDARD.encode(text) },
            Err(error) => Self::Base64 { base64: STANDARD.encode(error.as_bytes()) },
        }
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Base64 { base64 } => STANDARD.decode(base64).ok(),
        }
    }
}

/// The content of the message that publishes this record.
pub fn content(record: TopicRecord) -> Content {
    let TopicRecord { key, value, headers, partition, time, origin } = record;
    let mut content = Content::default();
    let value = value.and_then(|value| place(value, &mut content));
    let rest = Rest {
        key: key.map(Bytes::of),
        value,
        headers: headers.into_iter().map(|(name, value)| (name, value.map(Bytes::of))).collect(),
        partition,
        timestamp: match time {
            RecordTime::Published => None,
            RecordTime::Arrived(millis) | RecordTime::Given(millis) => Some(millis),
        },
        arrived: matches!(time, RecordTime::Arrived(_)),
        erp: origin == Origin::Erp,
    };
    content.record = serde_json::to_string(&rest).ok();
    content
}

/// JSON is the payload, another text the text; what is neither is returned.
fn place(value: Vec<u8>, content: &mut Content) -> Option<Bytes> {
    match String::from_utf8(value) {
        Ok(text) if is_storable_json(&text) => content.payload = Some(text),
        // PostgreSQL stores no U+0000.
        Ok(text) if !text.contains('\0') => content.text = Some(text),
        Ok(text) => return Some(Bytes::of(text.into_bytes())),
        Err(error) => return Some(Bytes::of(error.into_bytes())),
    }
    None
}

/// PostgreSQL takes no JSON that is nested very deeply.
fn is_storable_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok() && depth(text) <= DEEPEST
}

const DEEPEST: usize = 1_000;

/// How deep well-formed JSON is nested.
pub fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut after_backslash) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            b'"' if !after_backslash => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        after_backslash = in_string && byte == b'\\' && !after_backslash;
        deepest = deepest.max(depth);
    }
    deepest
}

/// The record that a message of this content publishes. One that was sent without a record has its payload, or its text, as
/// its value.
///
/// # Errors
/// What cannot be read: the end of a sentence.
pub fn record(content: Content) -> Result<TopicRecord, String> {
    let Content { text, payload, record, .. } = content;
    let rest: Rest = match record {
        None => Rest::default(),
        Some(record) => serde_json::from_str(&record).map_err(|error| format!("its record cannot be read: {error}"))?,
    };
    let bytes = |bytes: Bytes| bytes.into_bytes().ok_or("its record has base64 that is none".to_owned());
    let value = match payload.or(text) {
        Some(text) => Some(text.into_bytes()),
        None => rest.value.map(bytes).transpose()?,
    };
    let header = |(name, value): (String, Option<Bytes>)| Ok((name, value.map(bytes).transpose()?));
    Ok(TopicRecord {
        key: rest.key.map(bytes).transpose()?,
        value,
        headers: rest.headers.into_iter().map(header).collect::<Result<_, String>>()?,
        partition: rest.partition,
        time: match rest.timestamp {
            None => RecordTime::Published,
            Some(millis) if rest.arrived => RecordTime::Arrived(millis),
            Some(millis) => RecordTime::Given(millis),
        },
        origin: if rest.erp { Origin::Erp } else { Origin::Client },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..12),
            "\\PC{0,8}".prop_map(String::into_bytes),
            Just(br#"{"total": 4500.00, "a":"\u0000"}"#.to_vec()),
            Just(b"a\0b".to_vec()),
            Just(br#"{"base64":"x"}"#.to_vec()),
            Just(b"null".to_vec()),
        ]
    }

    fn any_time() -> impl Strategy<Value = RecordTime> {
        prop_oneof![
            Just(RecordTime::Published),
            any::<i64>().prop_map(RecordTime::Arrived),
            any::<i64>().prop_map(RecordTime::Given),
        ]
    }

    proptest! {
        #[test]
        fn a_record_is_kept_byte_for_byte(
            key in proptest::option::of(any_bytes()),
            value in proptest::option::of(any_bytes()),
            headers in proptest::collection::vec(("\\PC{0,4}", proptest::option::of(any_bytes())), 0..3),
            partition in proptest::option::of(0..9),
            time in any_time(),
            is_erp in any::<bool>(),
        ) {
            let origin = if is_erp { Origin::Erp } else { Origin::Client };
            let given = TopicRecord { key, value, headers, partition, time, origin };
            let content = content(given.clone());
            prop_assert!(!content.text.as_deref().unwrap_or_default().contains('\0'));
            prop_assert_eq!(record(content), Ok(given));
        }
    }

    #[test]
    fn what_operators_read_is_text() {
        let kept = content(TopicRecord {
            key: Some(b"000001001".to_vec()),
            value: Some(br#"{"teste":true}"#.to_vec()),
            ..TopicRecord::default()
        });
        assert_eq!(kept.payload.as_deref(), Some(r#"{"teste":true}"#));
        assert_eq!(kept.record.as_deref(), Some(r#"{"key":"000001001"}"#));
    }
}
