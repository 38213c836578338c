//! What a report of Meta's is made of.

use chrono::DateTime;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::text::storable;
use crate::infrastructure::channels::http::report::json;
use crate::infrastructure::channels::whatsapp_oficial::is_number_id;

const LONGEST_ID: usize = 255;

/// What is not JSON says nothing.
pub fn parsed(body: &[u8]) -> Value {
    json(body).unwrap_or_default()
}

pub fn items<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

/// What is said of messages, and of which number's. Other fields (templates, accounts, ...) are nothing to us.
pub fn changes(report: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let changes = items(report, "entry").flat_map(|entry| items(entry, "changes"));
    changes.filter(|change| text(change, "field") == Some("messages")).filter_map(|change| {
        let value = change.get("value")?;
        let number = value.pointer("/metadata/phone_number_id")?.as_str()?;
        is_number_id(number).then_some((number, value))
    })
}

pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

/// A message's name.
pub fn id(value: &Value, member: &str) -> Option<String> {
    let id = storable(text(value, member)?, LONGEST_ID);
    (!id.trim().is_empty()).then_some(id)
}

/// Seconds since 1970, as text or number; of what is far from now, now. Meta repeats what was not taken for a week.
pub fn time(value: Option<&Value>, now: Timestamp) -> Timestamp {
    const FAR: i64 = 14 * 24 * 3_600;
    let seconds = match value {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let said = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    said.filter(|said| (*said - now).num_seconds().abs() < FAR).map_or(now, |said| said.min(now))
}
