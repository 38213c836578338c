//! Publishing, version 2: `POST /topics/{topic}` with one of its content types.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::publishing::{confirmed, publish};
use super::super::request::{Named, OpenCaller, RestBytes, RestCaller, TO_WRITE};
use super::consumers::V2;
use super::names;
use crate::domain::access::principal::Principal;
use crate::domain::topic::{Origin, RecordPosition, RecordTime, TopicRecord};
use crate::presentation::http::topics::caller::TopicCaller;
use crate::presentation::http::wire::body;
use crate::presentation::http::wire::compact_json::compact;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::SharedState;

/// How keys and values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Embedded {
    Binary,
    Json,
}

impl Embedded {
    /// What a body of the REST Proxy holds; none for every other body.
    ///
    /// # Errors
    /// 415 for a format of the REST Proxy that needs a schema registry, which there is none of.
    fn of(headers: &HeaderMap) -> Result<Option<Self>, RestError> {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some(format) = kind.strip_prefix("application/vnd.kafka.") else { return Ok(None) };
        match format {
            "binary.v2+json" | "v2+json" => Ok(Some(Self::Binary)),
            "json.v2+json" => Ok(Some(Self::Json)),
            _ => Err(RestError::unsupported_media_type()),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Records<'a> {
    #[serde(borrow, default, deserialize_with = "bounded")]
    records: Vec<Written<'a>>,
}

/// Records of one request at most: each becomes a row before any is published.
const MOST_RECORDS: usize = 10_000;

/// Ends where there are more: what is not read takes no memory.
fn bounded<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Written<'a>>, D::Error> {
    deserializer.deserialize_seq(Bounded(PhantomData))
}

struct Bounded<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Bounded<'a> {
    type Value = Vec<Written<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MOST_RECORDS} records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut written: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = written.next_element()? {
            records.push(record);
            if records.len() > MOST_RECORDS {
                return Err(A::Error::invalid_length(records.len(), &self));
            }
        }
        Ok(records)
    }
}

#[derive(Debug, Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    partition: Option<i32>,
}

/// Publishes the records of a body of the REST Proxy to a topic.
pub async fn to_topic(
    state: &SharedState,
    caller: Result<TopicCaller, Problem>,
    topic: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, RestError> {
    let OpenCaller(caller) = OpenCaller::of(caller)?;
    let caller = caller.must(TO_WRITE)?;
    let Path(topic) = topic.map_err(|_| RestError::not_found("HTTP 404 Not Found"))?;
    let embedded = Embedded::of(headers)?.ok_or_else(RestError::unsupported_media_type)?;
    let bytes = body::uncompressed(headers, body, &state.topics.bodies).await?;
    produced(state, caller, topic, None, embedded, &bytes).await
}

async fn produced(
    state: &SharedState,
    caller: &Principal,
    topic: String,
    partition: Option<i32>,
    embedded: Embedded,
    bytes: &[u8],
) -> Result<Response, RestError> {
    let topic = names::topic(topic)?;
    // All are read before any is stored.
    let records = records(body::without_mark(bytes)?, embedded, partition)?;
    let begun = publish(state, caller, &topic, records).await?;
    let waiting = begun.into_iter().map(async |begun| match begun {
        Ok(underway) => confirmed(state, underway).await,
        Err(error) => Err(error),
    });
    Ok(answer(&futures::future::join_all(waiting).await))
}

fn records(bytes: &[u8], embedded: Embedded, partition: Option<i32>) -> Result<Vec<TopicRecord>, RestError> {
    let read: Records<'_> = serde_json::from_slice(bytes).map_err(|error| match error.is_data() {
        true => RestError::invalid(error.to_string()),
        false => RestError::new(400, format!("Bad Request: the body is not JSON: {error}.")),
    })?;
    if read.records.is_empty() {
        return Err(RestError::invalid("records may not be empty"));
    }
    let record = |(place, written): (usize, Written<'_>)| {
        let bytes = |member: &str, raw: Option<&RawValue>| {
            data(raw, embedded).ok_or_else(|| RestError::invalid(format!("records[{place}].{member} is not base64")))
        };
        if written.partition.is_some_and(|partition| partition < 0) {
            return Err(RestError::invalid(format!("records[{place}].partition is negative")));
        }
        Ok(TopicRecord {
            key: bytes("key", written.key)?,
            value: bytes("value", written.value)?,
            headers: Vec::new(),
            partition: partition.or(written.partition),
            time: RecordTime::Published,
            origin: Origin::Client,
        })
    };
    read.records.into_iter().enumerate().map(record).collect()
}

/// None: it is not base64.
fn data(raw: Option<&RawValue>, embedded: Embedded) -> Option<Option<Vec<u8>>> {
    let Some(raw) = raw.map(RawValue::get).filter(|raw| *raw != "null") else { return Some(None) };
    match embedded {
        Embedded::Json => Some(Some(compact(raw).into_bytes())),
        Embedded::Binary => {
            let text = serde_json::from_str::<String>(raw).ok()?;
            STANDARD.decode(text).ok().map(Some)
        }
    }
}

/// Nothing that failed hides behind a 200: some is 207, all is what the first says, and 202 where all wait.
fn answer(outcomes: &[Result<RecordPosition, RestError>]) -> Response {
    let offsets: Vec<Value> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(RecordPosition { partition, offset }) => {
                json!({"partition": partition, "offset": offset, "error_code": null, "error": null})
            }
            Err(error) => {
                let body = error.body();
                json!({"partition": null, "offset": null, "error_code": body.error_code, "error": body.message})
            }
        })
        .collect();
    let answer = json!({"offsets": offsets, "key_schema_id": null, "value_schema_id": null});
    (status(outcomes), [(CONTENT_TYPE, V2)], answer.to_string()).into_response()
}

fn status(outcomes: &[Result<RecordPosition, RestError>]) -> StatusCode {
    let failures: Vec<StatusCode> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(RestError::status).collect();
    match failures.first() {
        None => StatusCode::OK,
        Some(first) if failures.len() == outcomes.len() && failures.iter().all(|status| status == first) => *first,
        // Who is told that all has failed sends all again, and what is kept would be there twice.
        Some(_) if failures.len() == outcomes.len() && !failures.contains(&StatusCode::ACCEPTED) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Some(_) => StatusCode::MULTI_STATUS,
    }
}

/// Publish records to a partition
///
/// As `POST /topics/{topic}` with a content type of the REST Proxy.
#[utoipa::path(post, path = "/topics/{topic}/partitions/{partition}", operation_id = "produceToPartition", tag = "kafka",
    params(("topic" = String, Path, description = "The topic"), ("partition" = i32, Path, description = "Its number")),
    request_body(content = Object, description = "`records`: `key` and `value` each", content_type = "application/vnd.kafka.json.v2+json"),
    responses(
        (status = 200, content_type = "application/vnd.kafka.v2+json", body = Object, description = "`offsets`: one for each record"),
        (status = 202, content_type = "application/vnd.kafka.v2+json", body = Object, description = "All are kept, and none is confirmed yet"),
        (status = 207, content_type = "application/vnd.kafka.v2+json", body = Object, description = "Some have failed, or are not confirmed yet"),
        Refusals))]
pub async fn to_partition(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((topic, partition)): Named<(String, i32)>,
    headers: HeaderMap,
    RestBytes(bytes): RestBytes,
) -> Result<Response, RestError> {
    let caller = caller.must(TO_WRITE)?;
    let embedded = Embedded::of(&headers)?.ok_or_else(RestError::unsupported_media_type)?;
    if partition < 0 {
        return Err(RestError::new(40402, "Partition not found."));
    }
    produced(&state, caller, topic, Some(partition), embedded, &bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_shows_in_the_status() {
        let placed = || Ok(RecordPosition { partition: 0, offset: 1 });
        let failed = |code| Err(RestError::new(code, "…"));
        for (outcomes, expected) in [
            (vec![placed(), placed()], 200),
            (vec![placed(), failed(50002)], 207),
            (vec![placed(), failed(202)], 207),
            (vec![failed(202), failed(202)], 202),
            (vec![failed(50002), failed(50002)], 500),
            (vec![failed(413)], 413),
            (vec![failed(413), failed(50003)], 500),
            (vec![failed(202), failed(50002)], 207),
        ] {
            assert_eq!(status(&outcomes), expected);
        }
    }

    #[test]
    fn keys_and_values_are_read_as_the_content_type_says() {
        let json = records(br#"{"records": [{"key": "a", "value": {"b": 1.0}}, {}]}"#, Embedded::Json, None).unwrap();
        assert_eq!(
            (json[0].key.as_deref(), json[0].value.as_deref()),
            (Some(&b"\"a\""[..]), Some(&b"{\"b\":1.0}"[..]))
        );
        assert_eq!((&json[1].key, &json[1].value), (&None, &None));
        let binary = records(br#"{"records": [{"value": "aGk=", "partition": 2}]}"#, Embedded::Binary, None).unwrap();
        assert_eq!((binary[0].value.as_deref(), binary[0].partition), (Some(&b"hi"[..]), Some(2)));
        for bad in [
            r#"{"records": []}"#,
            "{}",
            r#"{"records": [{"value": "é"}]}"#,
            "[",
            r#"{"records": [1]}"#,
            r#"{"records": [{"partition": -1}]}"#,
        ] {
            assert!(records(bad.as_bytes(), Embedded::Binary, None).is_err(), "{bad}");
        }
        let many = |count: usize| format!("{{\"records\":[{}]}}", vec!["{}"; count].join(","));
        assert_eq!(records(many(MOST_RECORDS).as_bytes(), Embedded::Json, None).unwrap().len(), MOST_RECORDS);
        let refused = records(many(MOST_RECORDS + 1).as_bytes(), Embedded::Json, None).unwrap_err();
        assert_eq!(refused.status(), 422, "{}", refused.body().message);
    }
}
