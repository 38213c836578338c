//! The records that consumers fetch.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestCaller, TO_READ, accepted, kafka, parameter};
use super::consumers::instance;
use crate::application::kafka_rest::{FetchBounds, Fetched as Found, Format};
use crate::application::ports::ReadRecord;
use crate::presentation::http::wire::held::RoomForAnswer;
use crate::presentation::http::wire::state::SharedState;

/// What a fetch gives out at most; a record that is larger comes alone.
const MOST_BYTES: usize = 8 * 1024 * 1024;

#[derive(Serialize)]
struct Fetched<'a> {
    topic: &'a str,
    key: Embedded<'a>,
    value: Embedded<'a>,
    partition: i32,
    offset: i64,
}

/// A key or value, as the instance was made for.
#[derive(Serialize)]
#[serde(untagged)]
enum Embedded<'a> {
    Null,
    Base64(String),
    Json(&'a RawValue),
}

/// Fetch records
///
/// Returns when the time is up, or `fetch.min.bytes` or `max_bytes` have come; without `fetch.min.bytes` it waits its whole time.
#[utoipa::path(get, path = "/consumers/{group}/instances/{instance}/records", operation_id = "fetchRecords", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer"),
        ("timeout" = Option<i64>, Query, description = "Milliseconds"), ("max_bytes" = Option<i64>, Query, description = "Of keys and values")),
    responses(
        (status = 200, content_type = "application/vnd.kafka.json.v2+json", body = Vec<Object>, description = "The records"),
        (status = 406, content_type = "application/json", body = super::super::RestErrorBody, description = "The consumer was made for another format"),
        (status = 408, content_type = "application/json", body = super::super::RestErrorBody, description = "A consumer of JSON has met something else"),
        Refusals))]
pub async fn records(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(place): Named<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, RestError> {
    let caller = caller.must(TO_READ)?;
    let name = instance(caller, place);
    let kafka = kafka(&state)?;
    let positive = |name: &str| parameter(&uri, name).and_then(|text| text.parse::<u64>().ok()).filter(|it| *it > 0);
    let timeout = positive("timeout").map(Duration::from_millis);
    let most = positive("max_bytes").and_then(|bytes| usize::try_from(bytes).ok());
    let most = most.map_or(MOST_BYTES, |most| most.min(MOST_BYTES));
    // Held until the answer is written.
    let room = async { Ok(state.large_answers.of_list(&caller.tenant, u32::MAX).await?) };
    let takes = |format| takes(&accepted(&headers), format);
    let bounds = FetchBounds { timeout, most_bytes: most };
    kafka.consumers.fetch(&name, takes, bounds, room, written).await
}

fn written(room: RoomForAnswer, fetched: &Found) -> Result<Response, RestError> {
    let records: Result<Vec<_>, _> = fetched.records.iter().map(|record| shown(record, fetched.format)).collect();
    let mut response = room.json(&records?)?;
    let kind = match fetched.format {
        Format::Binary => "application/vnd.kafka.binary.v2+json",
        Format::Json => "application/vnd.kafka.json.v2+json",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok(response)
}

/// A client that names no format takes the instance's.
fn takes(accepted: &str, format: Format) -> bool {
    let names = |format: &str| accepted.contains(&format!("application/vnd.kafka.{format}"));
    let own = match format {
        Format::Binary => "binary",
        Format::Json => "json",
    };
    let others = ["binary", "json", "avro", "jsonschema", "protobuf"];
    names(&format!("{own}.v2")) || !others.iter().any(|other| names(&format!("{other}.v2")))
}

fn shown(record: &ReadRecord, format: Format) -> Result<Fetched<'_>, RestError> {
    Ok(Fetched {
        topic: &record.place.topic,
        key: embedded(record, record.key.as_deref(), format)?,
        value: embedded(record, record.value.as_deref(), format)?,
        partition: record.place.partition,
        offset: record.offset,
    })
}

fn embedded<'a>(record: &ReadRecord, bytes: Option<&'a [u8]>, format: Format) -> Result<Embedded<'a>, RestError> {
    let Some(bytes) = bytes else { return Ok(Embedded::Null) };
    match format {
        Format::Binary => Ok(Embedded::Base64(STANDARD.encode(bytes))),
        Format::Json => serde_json::from_slice(bytes).map(Embedded::Json).map_err(|_| {
            let ReadRecord { place, offset, .. } = record;
            RestError::new(
                40801,
                format!(
                    "The record at offset {offset} of {}-{} is not JSON: read this topic with a consumer of format binary.",
                    place.topic, place.partition
                ),
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_the_format_that_it_names_or_whatever_comes() {
        assert!(takes("", Format::Json) && takes("*/*", Format::Binary) && takes("application/json", Format::Json));
        assert!(takes("application/vnd.kafka.json.v2+json, */*", Format::Json));
        assert!(takes("application/vnd.kafka.v2+json", Format::Binary));
        assert!(!takes("application/vnd.kafka.json.v2+json", Format::Binary));
        assert!(!takes("application/vnd.kafka.jsonschema.v2+json", Format::Json));
    }
}
