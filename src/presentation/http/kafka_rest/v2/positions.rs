//! Where a consumer reads: its partitions, its committed offsets, and its positions.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestBody, RestCaller, TO_READ, kafka};
use super::consumers::{answer, instance};
use super::names::{few, once, place};
use crate::application::ports::{CommittedOffset, Place, SeekTo, TopicPartition};
use crate::presentation::http::wire::state::SharedState;

#[derive(Debug, Deserialize)]
struct Partitions {
    partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    topic: String,
    partition: i32,
}

#[derive(Debug, Default, Deserialize)]
struct Offsets {
    #[serde(default)]
    offsets: Vec<Offset>,
    #[serde(default)]
    timestamps: Vec<Moment>,
}

#[derive(Debug, Deserialize)]
struct Offset {
    topic: String,
    partition: i32,
    offset: i64,
}

#[derive(Debug, Deserialize)]
struct Moment {
    topic: String,
    partition: i32,
    timestamp: String,
}

impl Partitions {
    fn places(self) -> Result<Vec<TopicPartition>, RestError> {
        let places = few(self.partitions)?.into_iter().map(|each| place(each.topic, each.partition));
        Ok(once(places.collect::<Result<_, RestError>>()?))
    }
}

/// Have a consumer read certain partitions
#[utoipa::path(post, path = "/consumers/{group}/instances/{instance}/assignments", operation_id = "assignConsumer", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    request_body(content = Object, description = "`partitions`: `topic` and `partition` each"),
    responses((status = 204, description = "It reads these"), Refusals))]
pub async fn assign(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    let name = instance(caller.must(TO_READ)?, at);
    let kafka = kafka(&state)?;
    kafka.consumers.assign(&name, &body.read::<Partitions>()?.places()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the partitions that a consumer reads
#[utoipa::path(get, path = "/consumers/{group}/instances/{instance}/assignments", operation_id = "readAssignments", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    responses((status = 200, content_type = "application/vnd.kafka.v2+json", body = Object, description = "`partitions`"), Refusals))]
pub async fn assignment(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
) -> Result<Response, RestError> {
    let name = instance(caller.must(TO_READ)?, at);
    let assigned = kafka(&state)?.consumers.assignment(&name).await?;
    let assigned: Vec<Value> =
        assigned.into_iter().map(|each| json!({"topic": each.topic, "partition": each.partition})).collect();
    Ok(answer(&json!({"partitions": assigned})))
}

/// Commit offsets
///
/// Those of the records that were processed last: one more is committed. Without a body, all that was fetched.
#[utoipa::path(post, path = "/consumers/{group}/instances/{instance}/offsets", operation_id = "commitOffsets", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    request_body(content = Object, description = "`offsets`: `topic`, `partition` and `offset` each"),
    responses((status = 200, content_type = "application/vnd.kafka.v2+json", body = Vec<Object>, description = "Committed: an empty array"), Refusals))]
pub async fn commit(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
    body: RestBody,
) -> Result<Response, RestError> {
    let name = instance(caller.must(TO_READ)?, at);
    let consumers = &kafka(&state)?.consumers;
    let named = if body.0.is_null() { Vec::new() } else { body.read::<Offsets>()?.offsets };
    // The first to be read next is one behind the last that was processed.
    let next = |each: Offset| {
        let place = place(each.topic, each.partition)?;
        Ok(CommittedOffset { place, offset: each.offset.saturating_add(1) })
    };
    let offsets = few(named)?.into_iter().map(next).collect::<Result<Vec<_>, RestError>>()?;
    if let Some(negative) = offsets.iter().find(|each| each.offset < 1) {
        return Err(RestError::invalid(format!("the offset of partition {} is negative", negative.place.partition)));
    }
    consumers.commit(&name, (!offsets.is_empty()).then_some(&offsets)).await?;
    Ok(answer(&json!([])))
}

/// Read committed offsets
///
/// The partitions are named in the body of the request.
#[utoipa::path(get, path = "/consumers/{group}/instances/{instance}/offsets", operation_id = "readCommittedOffsets", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    responses((status = 200, content_type = "application/vnd.kafka.v2+json", body = Object, description = "`offsets`, each the next to be read"), Refusals))]
pub async fn committed(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
    body: RestBody,
) -> Result<Response, RestError> {
    let name = instance(caller.must(TO_READ)?, at);
    let consumers = &kafka(&state)?.consumers;
    let places = body.read::<Partitions>()?.places()?;
    let committed = consumers.committed(&name, &places).await?;
    if committed.is_empty() && !places.is_empty() {
        return Err(RestError::new(40402, "Partition not found."));
    }
    let committed: Vec<Value> = committed
        .into_iter()
        .map(|CommittedOffset { place, offset }| {
            json!({"topic": place.topic, "partition": place.partition, "offset": offset, "metadata": ""})
        })
        .collect();
    Ok(answer(&json!({"offsets": committed})))
}

/// Go on reading at these offsets, or times
#[utoipa::path(post, path = "/consumers/{group}/instances/{instance}/positions", operation_id = "seek", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    request_body(content = Object, description = "`offsets`: `topic`, `partition` and `offset` each; `timestamps`: `topic`, `partition` and `timestamp` each"),
    responses((status = 204, description = "It goes on there"), Refusals))]
pub async fn seek(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    let name = instance(caller.must(TO_READ)?, at);
    let consumers = &kafka(&state)?.consumers;
    let Offsets { offsets, timestamps } = body.read()?;
    let mut places = Vec::new();
    for Offset { topic, partition, offset } in few(offsets)? {
        if offset < 0 {
            return Err(RestError::invalid(format!("the offset of partition {partition} is negative")));
        }
        places.push((place(topic, partition)?, SeekTo::Offset(offset)));
    }
    for Moment { topic, partition, timestamp } in few(timestamps)? {
        let at = chrono::DateTime::parse_from_rfc3339(&timestamp)
            .map_err(|_| RestError::invalid("timestamp must be a time such as 2026-01-18T00:00:00Z"))?;
        places.push((place(topic, partition)?, SeekTo::Place(Place::Time(at.timestamp_millis()))));
    }
    consumers.seek(&name, &places).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Go on reading at the oldest records
#[utoipa::path(post, path = "/consumers/{group}/instances/{instance}/positions/beginning", operation_id = "seekToBeginning", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    request_body(content = Object, description = "`partitions`: `topic` and `partition` each"),
    responses((status = 204, description = "It goes on there"), Refusals))]
pub async fn seek_to_beginning(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    seek_all(&caller, &state, at, body, Place::Beginning).await
}

/// Go on reading behind the newest records
#[utoipa::path(post, path = "/consumers/{group}/instances/{instance}/positions/end", operation_id = "seekToEnd", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    request_body(content = Object, description = "`partitions`: `topic` and `partition` each"),
    responses((status = 204, description = "It goes on there"), Refusals))]
pub async fn seek_to_end(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(at): Named<(String, String)>,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    seek_all(&caller, &state, at, body, Place::End).await
}

async fn seek_all(
    caller: &RestCaller,
    state: &SharedState,
    at: (String, String),
    body: RestBody,
    to: Place,
) -> Result<StatusCode, RestError> {
    let name = instance(caller.must(TO_READ)?, at);
    let consumers = &kafka(state)?.consumers;
    let places = body.read::<Partitions>()?.places()?;
    let places: Vec<_> = places.into_iter().map(|place| (place, SeekTo::Place(to))).collect();
    consumers.seek(&name, &places).await?;
    Ok(StatusCode::NO_CONTENT)
}
