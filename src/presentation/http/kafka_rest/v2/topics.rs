//! Topics, partitions and brokers.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, OpenCaller, RestCaller, TO_READ, kafka};
use crate::application::kafka_rest::KafkaRest;
use crate::application::ports::{Place, Topic, TopicPartition, TopicPartitionState};
use crate::presentation::http::wire::state::SharedState;

/// List the names of all topics
///
/// Kafka's own among them.
#[utoipa::path(get, path = "/topics", operation_id = "listTopicNames", tag = "kafka",
    responses((status = 200, content_type = "application/json", body = Vec<String>, description = "Their names, in order"), Refusals))]
pub async fn list(
    OpenCaller(caller): OpenCaller,
    State(state): State<SharedState>,
) -> Result<Json<Vec<String>>, RestError> {
    caller.must(TO_READ)?;
    Ok(Json(kafka(&state)?.topics.names().await.map_err(RestError::v2)?))
}

/// Read a topic: its settings and its partitions
#[utoipa::path(get, path = "/topics/{topic}", operation_id = "readTopic", tag = "kafka",
    params(("topic" = String, Path, description = "Its name")),
    responses((status = 200, content_type = "application/json", body = Object, description = "`name`, `configs`, `partitions`"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(topic): Named<String>,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let kafka = kafka(&state)?;
    let found = find(kafka, &topic).await?;
    let settings = kafka.topics.settings(std::slice::from_ref(&topic)).await.map_err(RestError::v2)?;
    let configs: Map<String, Value> =
        settings.into_iter().flatten().map(|setting| (setting.name, Value::from(setting.value))).collect();
    let partitions: Vec<Value> = found.partitions.iter().map(described).collect();
    Ok(Json(json!({"name": found.name, "configs": configs, "partitions": partitions})))
}

async fn find(kafka: &KafkaRest, topic: &str) -> Result<Topic, RestError> {
    let found = kafka.topics.describe(&[topic.to_owned()]).await.map_err(RestError::v2)?;
    found.into_iter().next().ok_or_else(|| RestError::new(40401, "Topic not found."))
}

fn described(partition: &TopicPartitionState) -> Value {
    let replicas: Vec<Value> = partition
        .replicas
        .iter()
        .map(|broker| {
            let is_leader = partition.leader == Some(*broker);
            json!({"broker": broker, "leader": is_leader, "in_sync": partition.in_sync.contains(broker)})
        })
        .collect();
    json!({"partition": partition.id, "leader": partition.leader.unwrap_or(-1), "replicas": replicas})
}

/// List a topic's partitions
#[utoipa::path(get, path = "/topics/{topic}/partitions", operation_id = "listPartitionsOfTopic", tag = "kafka",
    params(("topic" = String, Path, description = "Its name")),
    responses((status = 200, content_type = "application/json", body = Vec<Object>, description = "With their replicas"), Refusals))]
pub async fn partitions(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(topic): Named<String>,
) -> Result<Json<Vec<Value>>, RestError> {
    caller.must(TO_READ)?;
    let found = find(kafka(&state)?, &topic).await?;
    Ok(Json(found.partitions.iter().map(described).collect()))
}

/// Read a partition
#[utoipa::path(get, path = "/topics/{topic}/partitions/{partition}", operation_id = "readPartitionOfTopic", tag = "kafka",
    params(("topic" = String, Path, description = "Its name"), ("partition" = i32, Path, description = "Its number")),
    responses((status = 200, content_type = "application/json", body = Object, description = "With its replicas"), Refusals))]
pub async fn partition(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((topic, partition)): Named<(String, i32)>,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let found = find(kafka(&state)?, &topic).await?;
    let found = found.partitions.iter().find(|known| known.id == partition);
    found.map(|found| Json(described(found))).ok_or_else(no_partition)
}

/// Read where a partition begins and ends
#[utoipa::path(get, path = "/topics/{topic}/partitions/{partition}/offsets", operation_id = "readOffsetsOfPartition", tag = "kafka",
    params(("topic" = String, Path, description = "Its name"), ("partition" = i32, Path, description = "Its number")),
    responses((status = 200, content_type = "application/json", body = Object, description = "`beginning_offset`, `end_offset`"), Refusals))]
pub async fn offsets(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((topic, partition)): Named<(String, i32)>,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let kafka = kafka(&state)?;
    let found = find(kafka, &topic).await?;
    if !found.partitions.iter().any(|known| known.id == partition) {
        return Err(no_partition());
    }
    let place = [TopicPartition { topic, partition }];
    let of = async |at| kafka.topics.offsets(&place, at).await.map_err(RestError::v2);
    let (beginning, end) = (of(Place::Beginning).await?, of(Place::End).await?);
    Ok(Json(json!({"beginning_offset": beginning.first(), "end_offset": end.first()})))
}

fn no_partition() -> RestError {
    RestError::new(40402, "Partition not found.")
}

/// List the ids of the brokers
#[utoipa::path(get, path = "/brokers", operation_id = "listBrokerIds", tag = "kafka",
    responses((status = 200, content_type = "application/json", body = Object, description = "`brokers`: their ids"), Refusals))]
pub async fn brokers(caller: RestCaller, State(state): State<SharedState>) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let cluster = kafka(&state)?.topics.cluster().await.map_err(RestError::v2)?;
    let mut ids: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    ids.sort_unstable();
    Ok(Json(json!({"brokers": ids})))
}
