//! Partitions, where they begin and end, and their replicas.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestCaller, TO_READ, parameter};
use super::shape::{Address, Place};
use super::topics::find;
use crate::application::ports::{Place as At, TopicPartition, TopicPartitionState};
use crate::presentation::http::wire::state::SharedState;

/// List a topic's partitions
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/partitions", operation_id = "listPartitions", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaPartitionList"), Refusals))]
pub async fn list(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let found = find(&place, &topic).await?;
    let data = found.partitions.iter().map(|partition| shown(&place, &topic, partition)).collect();
    Ok(Json(place.list("KafkaPartitionList", &["topics", &topic, "partitions"], data)))
}

fn shown(place: &Place, topic: &str, partition: &TopicPartitionState) -> Value {
    let id = partition.id.to_string();
    let path = ["topics", topic, "partitions", id.as_str()];
    let below = |rest: &[&str]| place.related(&[&path, rest].concat());
    let leader = partition.leader.map(|leader| below(&["replicas", &leader.to_string()]));
    let members = json!({
        "topic_name": topic,
        "partition_id": partition.id,
        "leader": leader,
        "replicas": below(&["replicas"]),
        "reassignment": below(&["reassignment"]),
    });
    place.object("KafkaPartition", &path, &format!("/topic={topic}/partition={id}"), members)
}

async fn partition(place: &Place<'_>, topic: &str, wanted: i32) -> Result<TopicPartitionState, RestError> {
    let found = find(place, topic).await?.partitions.into_iter().find(|partition| partition.id == wanted);
    found.ok_or_else(RestError::not_hosted)
}

/// Read a partition
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/partitions/{partition_id}", operation_id = "readPartition", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("partition_id" = i32, Path, description = "Its number")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaPartition"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, number)): Named<(String, String, i32)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let found = partition(&place, &topic, number).await?;
    Ok(Json(shown(&place, &topic, &found)))
}

/// Read where a partition begins, or ends
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/offset", operation_id = "readOffset", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("partition_id" = i32, Path, description = "Its number"),
        ("offset_type" = Option<String>, Query, description = "`earliest` or `latest`; both without it")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaPartitionWithOffsets"), Refusals))]
pub async fn offset(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, number)): Named<(String, String, i32)>,
    address: Address,
    uri: Uri,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let (earliest, latest) = match parameter(&uri, "offset_type").map(|it| it.to_ascii_lowercase()).as_deref() {
        None | Some("") => (true, true),
        Some("earliest") => (true, false),
        Some("latest") => (false, true),
        Some(_) => return Err(RestError::new(400, "Bad Request: offset_type must be earliest or latest.")),
    };
    let place = Place::find(&state, address, &id).await?;
    let found = partition(&place, &topic, number).await?;
    let asked = [TopicPartition { topic: topic.clone(), partition: number }];
    let offset = async |is_asked: bool, at| match is_asked {
        true => place.kafka.topics.offsets(&asked, at).await.map(|found| found.first().copied()).map_err(RestError::v3),
        false => Ok(None),
    };
    let (earliest, latest) = (offset(earliest, At::Beginning).await?, offset(latest, At::End).await?);
    let mut shown = shown(&place, &topic, &found);
    shown["kind"] = json!("KafkaPartitionWithOffsets");
    shown["earliest_offset"] = json!(earliest);
    shown["latest_offset"] = json!(latest);
    Ok(Json(shown))
}

/// List a partition's replicas
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/replicas", operation_id = "listReplicas", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("partition_id" = i32, Path, description = "The partition")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaReplicaList"), Refusals))]
pub async fn replicas(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, number)): Named<(String, String, i32)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let found = partition(&place, &topic, number).await?;
    let data = found.replicas.iter().map(|broker| of_replica(&place, &topic, &found, *broker)).collect();
    let path = ["topics", &topic, "partitions", &number.to_string(), "replicas"];
    Ok(Json(place.list("KafkaReplicaList", &path, data)))
}

/// Read a replica
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/replicas/{broker_id}", operation_id = "readReplica", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("partition_id" = i32, Path, description = "The partition"), ("broker_id" = i32, Path, description = "Its broker")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaReplica"), Refusals))]
pub async fn replica(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, number, broker)): Named<(String, String, i32, i32)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let found = partition(&place, &topic, number).await?;
    if !found.replicas.contains(&broker) {
        return Err(RestError::not_found("HTTP 404 Not Found"));
    }
    Ok(Json(of_replica(&place, &topic, &found, broker)))
}

fn of_replica(place: &Place, topic: &str, partition: &TopicPartitionState, broker: i32) -> Value {
    let (number, id) = (partition.id.to_string(), broker.to_string());
    let members = json!({
        "topic_name": topic,
        "partition_id": partition.id,
        "broker_id": broker,
        "is_leader": partition.leader == Some(broker),
        "is_in_sync": partition.in_sync.contains(&broker),
        "broker": place.related(&["brokers", &id]),
    });
    let path = ["topics", topic, "partitions", &number, "replicas", &id];
    place.object("KafkaReplica", &path, &format!("/topic={topic}/partition={number}/replica={id}"), members)
}
