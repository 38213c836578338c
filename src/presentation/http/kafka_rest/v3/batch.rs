//! `…/records:batch`: a few records, and what became of each.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::publishing::{confirmed, publish};
use super::super::request::{Named, RestBytes, RestCaller, TO_WRITE};
use super::record::{Read, Written};
use super::shape::Place;
use crate::domain::topic::TopicName;
use crate::presentation::http::wire::state::SharedState;

const MOST_ENTRIES: usize = 10;
const LONGEST_ID: usize = 80;

#[derive(Debug, Deserialize)]
struct Batch<'a> {
    #[serde(borrow, default)]
    entries: Vec<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Id {
    id: Option<Value>,
}

/// Publish up to ten records
///
/// Answers 207 once they are accepted, with what became of each.
#[utoipa::path(post, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/records:batch", operation_id = "produceBatch", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    request_body(content = Object, description = "`entries`: records, each with an `id` of its own"),
    responses((status = 207, content_type = "application/json", body = Object, description = "`successes` and `failures`"), Refusals))]
pub async fn produce(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((cluster, topic)): Named<(String, String)>,
    RestBytes(bytes): RestBytes,
) -> Result<Response, RestError> {
    let caller = caller.must(TO_WRITE)?;
    let cluster = Place::id(&state, &cluster).await?;
    let topic =
        TopicName::parse(topic).map_err(|error| RestError::new(400, format!("Bad Request: the path {error}.")))?;
    let entries = entries(&bytes)?;
    let (mut failures, mut ids, mut records) = (Vec::new(), Vec::new(), Vec::new());
    for (id, entry) in entries {
        match entry {
            Ok(Read { record, answered }) => {
                ids.push((id, answered));
                records.push(record);
            }
            Err(error) => failures.push(failed(&id, &error)),
        }
    }
    let begun = match records.is_empty() {
        true => Vec::new(),
        false => publish(&state, caller, &topic, records).await?,
    };
    let waiting = ids.into_iter().zip(begun).map(async |((id, answered), begun)| {
        let position = match begun {
            Ok(underway) => confirmed(&state, underway).await,
            Err(error) => Err(error),
        };
        (id, answered, position)
    });
    let mut successes = Vec::new();
    for (id, answered, position) in futures::future::join_all(waiting).await {
        match position {
            Ok(position) => {
                let mut success = json!({"id": id});
                if let (Some(success), Value::Object(rest)) =
                    (success.as_object_mut(), answered.placed(&cluster, topic.as_str(), position))
                {
                    success.extend(rest);
                }
                successes.push(success);
            }
            Err(error) => failures.push(failed(&id, &error)),
        }
    }
    let answer = Json(json!({"successes": successes, "failures": failures}));
    Ok((StatusCode::MULTI_STATUS, answer).into_response())
}

fn failed(id: &str, error: &RestError) -> Value {
    json!({"id": id, "error_code": error.body().error_code, "message": error.body().message})
}

fn refused(what: &str) -> RestError {
    RestError::new(42208, what)
}

type Entry = (String, Result<Read, RestError>);

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, RestError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(refused("Request body is empty. Data is required."));
    }
    let batch: Batch<'_> =
        serde_json::from_slice(bytes).map_err(|error| RestError::new(400, format!("Bad Request: {error}")))?;
    if batch.entries.is_empty() {
        return Err(refused("Empty batch."));
    }
    if batch.entries.len() > MOST_ENTRIES {
        return Err(refused("Too many entries in batch."));
    }
    let now = chrono::Utc::now().timestamp_millis();
    let (mut entries, mut known) = (Vec::new(), HashSet::new());
    for raw in batch.entries {
        let named = serde_json::from_str::<Id>(raw.get()).ok().and_then(|named| named.id);
        let id = named.as_ref().and_then(Value::as_str).filter(|id| (1..=LONGEST_ID).contains(&id.chars().count()));
        let id = id.ok_or_else(|| refused("Batch entry identifier is not a valid string."))?;
        if !known.insert(id.to_owned()) {
            return Err(refused("Batch entry IDs are not distinct."));
        }
        let written = serde_json::from_str::<Written<'_>>(raw.get());
        let read = written.map_err(|error| RestError::new(400, format!("Bad Request: {error}")));
        entries.push((id.to_owned(), read.and_then(|written| written.read(now))));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Option<String> {
        entries(body.as_bytes()).err().map(|error| error.body().message.clone())
    }

    #[test]
    fn a_batch_has_up_to_ten_entries_with_names_of_their_own() {
        let of =
            |ids: &[Value]| json!({"entries": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}).to_string();
        assert_eq!(refusal(" ").as_deref(), Some("Request body is empty. Data is required."));
        assert_eq!(refusal("{}").as_deref(), Some("Empty batch."));
        let numbered = |count: usize| of(&(0..count).map(|number| json!(number.to_string())).collect::<Vec<_>>());
        assert_eq!(refusal(&numbered(10)), None);
        assert_eq!(refusal(&numbered(11)).as_deref(), Some("Too many entries in batch."));
        assert_eq!(refusal(&of(&[json!("a"), json!("a")])).as_deref(), Some("Batch entry IDs are not distinct."));
        for id in [json!(1), json!(null), json!(""), json!("x".repeat(81))] {
            assert_eq!(refusal(&of(&[id])).as_deref(), Some("Batch entry identifier is not a valid string."));
        }
    }
}
