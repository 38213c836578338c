//! What the members of Evolution's webhooks hold, which have different types in its versions.

use chrono::DateTime;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::text::storable;

pub const LONGEST_ID: usize = 255;

/// One object, or several.
pub fn each(data: &Value) -> impl Iterator<Item = &Value> {
    data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice).iter()
}

pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

pub fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(id) => storable(id, LONGEST_ID),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    (!id.trim().is_empty()).then_some(id)
}

/// Seconds or milliseconds since 1970, as number, text or the halves of a number; of what is far from now, now. (`date_time` of a
/// report is local time that says it is UTC.)
pub fn time(value: Option<&Value>, now: Timestamp) -> Timestamp {
    const FAR: i64 = 7 * 24 * 3_600;
    let number = match value {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        // As some versions of Baileys give it.
        Some(halves) => halves.get("low").and_then(Value::as_i64),
        None => None,
    };
    let said = number.and_then(|number| match number {
        ..100_000_000_000 => DateTime::from_timestamp(number, 0),
        milliseconds => DateTime::from_timestamp_millis(milliseconds),
    });
    said.filter(|said| (*said - now).num_seconds().abs() < FAR).map_or(now, |said| said.min(now))
}
