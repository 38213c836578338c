//! What the members of a provider's report hold, as far as it is the same whoever reports.

use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use super::report::storable_json;
use crate::domain::Timestamp;
use crate::domain::inbound::Longest;
use crate::domain::text::storable;

/// Of a message's name.
pub const LONGEST_ID: usize = 255;

pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

/// The same, unless it says nothing.
pub fn some_text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    text(value, member).filter(|text| !text.is_empty())
}

/// A message's name: a text, or a number.
pub fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(id) => storable(id, LONGEST_ID),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    (!id.trim().is_empty()).then_some(id)
}

/// Seconds or milliseconds since 1970, as number, text or the halves of a number (as some versions of Baileys give it); of what is
/// far from now, now. No later than now.
pub fn time(value: Option<&Value>, now: Timestamp, far: TimeDelta) -> Timestamp {
    let number = match value {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(halves) => halves.get("low").and_then(Value::as_i64),
        None => None,
    };
    let said = number.and_then(|number| match number {
        ..100_000_000_000 => DateTime::from_timestamp(number, 0),
        milliseconds => DateTime::from_timestamp_millis(milliseconds),
    });
    said.filter(|said| (*said - now).abs() < far).map_or(now, |said| said.min(now))
}

/// What a person sees: the first of these places that says something.
pub fn said(part: &Value, places: &[&str]) -> Option<String> {
    let said = places.iter().find_map(|place| part.pointer(place)?.as_str().filter(|text| !text.is_empty()));
    said.map(|text| storable(text, Longest::TEXT))
}

/// What has no place of its own, as compact JSON; none of what says nothing, or is too much.
pub fn rest(part: &Value) -> Option<String> {
    let rest = storable_json(part).to_string();
    (rest.len() <= Longest::REST && !["{}", "null"].contains(&rest.as_str())).then_some(rest)
}

pub fn bounded(address: &str) -> String {
    storable(address, Longest::ADDRESS)
}

pub fn word(text: &str) -> String {
    storable(text, Longest::WORD)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_what_is_said_if_that_can_be() {
        let now: Timestamp = "2026-05-17T16:30:05Z".parse().unwrap();
        let said: Timestamp = "2026-05-17T16:30:00Z".parse().unwrap();
        let read = |value: Value| time(Some(&value), now, TimeDelta::days(7));
        let seconds = said.timestamp();
        for value in [
            json!(seconds),
            json!(seconds * 1_000),
            json!(seconds.to_string()),
            json!(format!(" {seconds} ")),
            json!({"low": seconds, "high": 0, "unsigned": true}),
        ] {
            assert_eq!(read(value.clone()), said, "{value}");
        }
        for value in [json!(1), json!(i64::MAX), json!("x"), json!({}), json!([]), json!(null), json!(seconds + 60)] {
            assert_eq!(read(value.clone()), now, "{value}");
        }
    }
}
