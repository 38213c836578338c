//! Topics: listed, made, grown, deleted.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::admin::as_text;
use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestBody, RestCaller, TO_ADMINISTER, TO_READ};
use super::shape::{Address, Place};
use crate::application::ports::{NewTopic, Topic};
use crate::presentation::http::wire::state::SharedState;

#[derive(Debug, Deserialize)]
struct Creation {
    topic_name: String,
    partitions_count: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    replicas_assignments: Vec<Assignment>,
    #[serde(default)]
    configs: Vec<Setting>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Debug, Deserialize)]
struct Assignment {
    partition_id: i32,
    broker_ids: Vec<i32>,
}

#[derive(Debug, Deserialize)]
struct Setting {
    name: String,
    value: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Growth {
    partitions_count: i32,
}

/// List topics
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics", operation_id = "listTopics", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaTopicList"), Refusals))]
pub async fn list(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(id): Named<String>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let names = place.kafka.topics.names().await.map_err(RestError::v3)?;
    let topics = place.kafka.topics.describe(&names).await.map_err(RestError::v3)?;
    let data = topics.iter().map(|topic| shown(&place, topic)).collect();
    Ok(Json(place.list("KafkaTopicList", &["topics"], data)))
}

fn shown(place: &Place, topic: &Topic) -> Value {
    members(place, &topic.name, topic.is_internal, topic.replication_factor(), topic.partitions.len())
}

fn members(place: &Place, name: &str, is_internal: bool, replicas: usize, partitions: usize) -> Value {
    let members = json!({
        "topic_name": name,
        "is_internal": is_internal,
        "replication_factor": replicas,
        "partitions_count": partitions,
        "partitions": place.related(&["topics", name, "partitions"]),
        "configs": place.related(&["topics", name, "configs"]),
        "partition_reassignments": place.related(&["topics", name, "partitions", "-", "reassignment"]),
    });
    place.object("KafkaTopic", &["topics", name], &format!("/topic={name}"), members)
}

pub(super) async fn find(place: &Place<'_>, topic: &str) -> Result<Topic, RestError> {
    let found = place.kafka.topics.describe(&[topic.to_owned()]).await.map_err(RestError::v3)?;
    found.into_iter().next().ok_or_else(|| RestError::not_found("HTTP 404 Not Found"))
}

/// Create a topic
#[utoipa::path(post, path = "/v3/clusters/{cluster_id}/topics", operation_id = "createKafkaTopic", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster")),
    request_body(content = Object, description = "`topic_name`, `partitions_count`, `replication_factor`, `replicas_assignments`, `configs`, `validate_only`"),
    responses(
        (status = 201, content_type = "application/json", body = Object, description = "KafkaTopic"),
        (status = 200, content_type = "application/json", body = Object, description = "With `validate_only`: it could be made"),
        Refusals))]
pub async fn create(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(id): Named<String>,
    address: Address,
    body: RestBody,
) -> Result<Response, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let creation: Creation = body.read()?;
    let validate_only = creation.validate_only;
    let new = new_topic(creation)?;
    place.kafka.topics.create(&new, validate_only).await.map_err(RestError::v3)?;
    let name = new.name.as_str();
    let known = match validate_only {
        true => None,
        // A broker may not know it yet.
        false => {
            place.kafka.topics.describe(&[name.to_owned()]).await.ok().and_then(|topics| topics.into_iter().next())
        }
    };
    let number = |number: Option<i32>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let topic = match &known {
        Some(topic) => shown(&place, topic),
        None => {
            let replicas = new.assignments.first().map_or(number(new.replication_factor), Vec::len);
            let partitions = if new.assignments.is_empty() { number(new.partitions) } else { new.assignments.len() };
            members(&place, name, false, replicas, partitions)
        }
    };
    if validate_only {
        return Ok(Json(topic).into_response());
    }
    let location = [(header::LOCATION, place.url(&["topics", name]))];
    Ok((StatusCode::CREATED, location, Json(topic)).into_response())
}

fn new_topic(creation: Creation) -> Result<NewTopic, RestError> {
    let Creation { topic_name, partitions_count, replication_factor, mut replicas_assignments, configs, .. } = creation;
    replicas_assignments.sort_unstable_by_key(|assignment| assignment.partition_id);
    if replicas_assignments.iter().zip(0..).any(|(assignment, place)| assignment.partition_id != place) {
        return Err(RestError::invalid("replicas_assignments must name each partition once, from 0 on"));
    }
    Ok(NewTopic {
        name: topic_name,
        partitions: partitions_count,
        replication_factor: replication_factor.map(i32::from),
        assignments: replicas_assignments.into_iter().map(|assignment| assignment.broker_ids).collect(),
        settings: configs.into_iter().filter_map(|each| Some((each.name, as_text(each.value?)))).collect(),
    })
}

/// Read a topic
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}", operation_id = "readKafkaTopic", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaTopic"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let topic = find(&place, &topic).await?;
    Ok(Json(shown(&place, &topic)))
}

/// Add partitions to a topic
#[utoipa::path(patch, path = "/v3/clusters/{cluster_id}/topics/{topic_name}", operation_id = "addPartitions", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    request_body(content = Object, description = "`partitions_count`: how many there are to be"),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaTopic"), Refusals))]
pub async fn update(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, name)): Named<(String, String)>,
    address: Address,
    body: RestBody,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let Growth { partitions_count } = body.read()?;
    let before = find(&place, &name).await?;
    place.kafka.topics.set_partitions(&name, partitions_count).await.map_err(RestError::v3)?;
    let count = usize::try_from(partitions_count).unwrap_or_default();
    Ok(Json(members(&place, &name, before.is_internal, before.replication_factor(), count)))
}

/// Delete a topic, with all its records
///
/// Answers 403 for those that Correio or Kafka itself needs.
#[utoipa::path(delete, path = "/v3/clusters/{cluster_id}/topics/{topic_name}", operation_id = "deleteKafkaTopic", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    responses((status = 204, description = "It is gone"), Refusals))]
pub async fn delete(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic)): Named<(String, String)>,
    address: Address,
) -> Result<StatusCode, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    place.kafka.delete_topic.execute(&topic).await?;
    Ok(StatusCode::NO_CONTENT)
}
