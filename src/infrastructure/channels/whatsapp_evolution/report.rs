//! What the members of Evolution's webhooks hold, which have different types in its versions.

use chrono::TimeDelta;
use serde_json::Value;

use crate::domain::Timestamp;
use crate::infrastructure::channels::http::report_members;

/// One object, or several.
pub fn each(data: &Value) -> impl Iterator<Item = &Value> {
    data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice).iter()
}

/// What Evolution has kept in memory. (`date_time` of a report is local time that says it is UTC.)
pub fn time(value: Option<&Value>, now: Timestamp) -> Timestamp {
    report_members::time(value, now, TimeDelta::days(7))
}
