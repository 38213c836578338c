//! What a report of Meta's is made of.

use chrono::TimeDelta;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::infrastructure::channels::http::report::json;
use crate::infrastructure::channels::http::report_members::{self, text};
use crate::infrastructure::channels::whatsapp_oficial::is_number_id;

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

/// A message's name.
pub fn id(value: &Value, member: &str) -> Option<String> {
    // Meta's are texts.
    report_members::id(value.get(member).filter(|id| id.is_string())?)
}

/// Meta repeats what was not taken for a week.
pub fn time(value: Option<&Value>, now: Timestamp) -> Timestamp {
    report_members::time(value, now, TimeDelta::days(14))
}
