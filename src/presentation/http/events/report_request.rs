//! What reports an event: the members of several systems, under whichever name they come.

use std::collections::HashMap;

use axum::body::Bytes;
use chrono::{DateTime, NaiveDateTime};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::events::reporting::report_event::Report;
use crate::domain::Timestamp;
use crate::domain::event::LONGEST_NAME;
use crate::domain::event::kind::parse_kind;
use crate::domain::problem::FieldProblem;
use crate::domain::text::bounded;
use crate::presentation::http::wire::body::JsonBody;

/// An event to report: `type` and `data` under one of their names, and what else there is to say.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the document: what is sent is read member by member, under several names")]
#[schema(as = EventReport, example = json!({ "type": "VENDA", "data": { "produto_id": "P-1", "quantidade": 2, "valor": 59.9 } }))]
pub struct ReportRequest {
    /// Required. With or without accents.
    r#type: Option<String>,
    /// As `type`.
    tipo: Option<String>,
    /// Required: an object, with the members that its type requires.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// As `data`.
    #[schema(value_type = Option<Object>)]
    dados: Option<Value>,
    /// As `data`.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// Your own id, a text or a number: the same one again is the same event.
    id: Option<Value>,
    /// The same, for an event that shall have an id of ours. Also as the header `Idempotency-Key`.
    #[schema(rename = "idempotencyKey")]
    idempotency_key: Option<Value>,
    /// A text. Stored as `claimedOrigin`, not trusted: `origin` is the key or the login that reports.
    origin: Option<Value>,
    /// As `origin`.
    #[schema(rename = "partnerId")]
    partner_id: Option<Value>,
    /// When it happened: RFC 3339, or milliseconds since 1970.
    timestamp: Option<Value>,
}

const KIND: [&str; 2] = ["type", "tipo"];
const DATA: [&str; 3] = ["data", "dados", "payload"];
const ORIGIN: [&str; 4] = ["origin", "origem", "partnerId", "partner_id"];
const KEY: [&str; 2] = ["idempotencyKey", "idempotency_key"];

/// `key`: that of the header.
///
/// # Errors
/// All that is wrong with it at once.
pub fn read(body: JsonBody, key: Option<String>) -> Result<Report, Vec<FieldProblem>> {
    let JsonBody { value, bytes } = body;
    let Value::Object(mut members) = value else {
        return Err(vec![FieldProblem::new("", "must be an object")]);
    };
    let mut problems = Vec::new();
    let kind = kind(&members).map_err(|problem| problems.push(problem)).ok();
    let name = text_or_number(&members, &["id"]).map_err(|problem| problems.push(problem)).ok().flatten();
    let own_key = text_or_number(&members, &KEY).map_err(|problem| problems.push(problem)).ok().flatten();
    let origin = text_or_number(&members, &ORIGIN).map_err(|problem| problems.push(problem)).ok().flatten();
    let occurred_at = occurred_at(&members).map_err(|problem| problems.push(problem)).ok().flatten();
    let data = data(&mut members, &bytes).map_err(|problem| problems.push(problem)).ok();
    match (kind, data) {
        (Some(kind), Some((data, members))) if problems.is_empty() => {
            let key = name.clone().or(own_key).or(key);
            Ok(Report { kind, data, members, name, key, origin, occurred_at })
        }
        _ => Err(problems),
    }
}

/// The first of these that is there, and not null.
fn given<'a>(members: &'a Map<String, Value>, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    names.iter().find_map(|name| members.get(*name).filter(|value| !value.is_null()).map(|value| (*name, value)))
}

fn kind(members: &Map<String, Value>) -> Result<String, FieldProblem> {
    let (name, value) = given(members, &KIND).ok_or_else(|| FieldProblem::new("/type", "is required"))?;
    all_are(members, &KIND, "must be a string", Value::is_string)?;
    parse_kind(value.as_str().unwrap_or_default()).map_err(|error| FieldProblem::new(format!("/{name}"), error))
}

/// What is not looked at, because an earlier name has it, is no nonsense either.
fn all_are(
    members: &Map<String, Value>,
    names: &[&'static str],
    demand: &'static str,
    holds: impl Fn(&Value) -> bool,
) -> Result<(), FieldProblem> {
    let wrong = names.iter().find(|name| members.get(**name).is_some_and(|value| !value.is_null() && !holds(value)));
    wrong.map_or(Ok(()), |name| Err(FieldProblem::new(format!("/{name}"), demand)))
}

fn text_or_number(members: &Map<String, Value>, names: &[&'static str]) -> Result<Option<String>, FieldProblem> {
    let Some((name, value)) = given(members, names) else { return Ok(None) };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(FieldProblem::new(format!("/{name}"), "must be a string")),
    };
    let bounded = bounded(text, LONGEST_NAME);
    bounded.map(Some).map_err(|error| FieldProblem::new(format!("/{name}"), error.to_string()))
}

/// RFC 3339, the same without an offset (then UTC), or milliseconds since 1970.
fn occurred_at(members: &Map<String, Value>) -> Result<Option<Timestamp>, FieldProblem> {
    let Some((name, value)) = given(members, &["timestamp", "occurredAt", "data_evento"]) else { return Ok(None) };
    let time = match value {
        Value::String(text) => DateTime::parse_from_rfc3339(text)
            .map(|time| time.to_utc())
            .or_else(|_| text.parse::<NaiveDateTime>().map(|time| time.and_utc()))
            .ok(),
        Value::Number(number) => number.as_i64().and_then(DateTime::from_timestamp_millis),
        _ => None,
    };
    let is_storable = |time: &Timestamp| (1970..=9999).contains(&chrono::Datelike::year(time));
    let time = time.filter(is_storable);
    time.map(Some)
        .ok_or_else(|| FieldProblem::new(format!("/{name}"), "must be an RFC 3339 time, e.g. 2026-01-18T12:00:00Z"))
}

/// As it came, byte for byte, and what it says.
fn data(members: &mut Map<String, Value>, bytes: &Bytes) -> Result<(String, Map<String, Value>), FieldProblem> {
    let required = || FieldProblem::new("/data", "is required");
    let (name, _) = given(members, &DATA).ok_or_else(required)?;
    all_are(members, &DATA, "must be an object", Value::is_object)?;
    let Some(Value::Object(data)) = members.remove(name) else { return Err(required()) };
    let raw: HashMap<String, &RawValue> = serde_json::from_slice(bytes).map_err(|_| required())?;
    let raw = raw.get(name).ok_or_else(required)?;
    Ok((raw.get().to_owned(), data))
}
