//! How far consumer groups are behind.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestCaller, TO_ADMINISTER};
use super::groups::no_group;
use super::shape::{Address, Place};
use crate::application::kafka_rest::Lag;
use crate::presentation::http::wire::state::SharedState;

/// Those of topics that are there.
async fn lags(place: &Place<'_>, group: &str) -> Result<Vec<Lag>, RestError> {
    let found = place.kafka.groups.lags(group).await.map_err(RestError::v3)?;
    let lines = found.ok_or_else(|| no_group(group))?.lines;
    Ok(lines.into_iter().filter(|lag| lag.lag().is_some()).collect())
}

/// List how far a consumer group is behind in each partition
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}/lags", operation_id = "listLags", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerLagList"), Refusals))]
pub async fn list(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let lags = lags(&place, &group).await?;
    let data = lags.iter().map(|lag| shown(&place, &group, lag)).collect();
    Ok(Json(place.list("KafkaConsumerLagList", &["consumer-groups", &group, "lags"], data)))
}

fn shown(place: &Place, group: &str, lag: &Lag) -> Value {
    let (topic, number) = (lag.place.topic.as_str(), lag.place.partition.to_string());
    let member = lag.member.as_ref();
    let members = json!({
        "consumer_group_id": group,
        "topic_name": topic,
        "partition_id": lag.place.partition,
        "consumer_id": member.map_or("", |member| &member.id),
        "instance_id": member.and_then(|member| member.instance_id.clone()),
        "client_id": member.map_or("", |member| &member.client_id),
        "current_offset": lag.current(),
        "log_end_offset": lag.end,
        "lag": lag.lag(),
    });
    let path = ["consumer-groups", group, "lags", topic, "partitions", &number];
    let name = format!("/consumer-group={group}/lag={topic}/partition={number}");
    place.object("KafkaConsumerLag", &path, &name, members)
}

/// Read how far a consumer group is behind in a partition
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}/lags/{topic_name}/partitions/{partition_id}", operation_id = "readLag", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group"),
        ("topic_name" = String, Path, description = "The topic"), ("partition_id" = i32, Path, description = "The partition")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerLag"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group, topic, partition)): Named<(String, String, String, i32)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let lags = lags(&place, &group).await?;
    let found = lags.iter().find(|lag| lag.place.topic == topic && lag.place.partition == partition);
    let found = found.ok_or_else(|| RestError::not_found("Consumer lag cannot be found."))?;
    Ok(Json(shown(&place, &group, found)))
}

/// Read how far a consumer group is behind in all
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}/lag-summary", operation_id = "readLagSummary", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerGroupLagSummary"), Refusals))]
pub async fn summary(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let lags = lags(&place, &group).await?;
    // Of several that are behind equally, the first.
    let most = lags.iter().rev().max_by_key(|lag| lag.lag());
    let most = most.ok_or_else(|| RestError::not_found("Consumer group lag summary cannot be found."))?;
    let (topic, number) = (most.place.topic.as_str(), most.place.partition.to_string());
    let member = most.member.as_ref();
    let id = member.map_or("", |member| &member.id);
    let members = json!({
        "consumer_group_id": group,
        "max_lag_consumer_id": id,
        "max_lag_instance_id": member.and_then(|member| member.instance_id.clone()),
        "max_lag_client_id": member.map_or("", |member| &member.client_id),
        "max_lag_topic_name": topic,
        "max_lag_partition_id": most.place.partition,
        "max_lag": most.lag(),
        "total_lag": lags.iter().filter_map(Lag::lag).sum::<i64>(),
        "max_lag_consumer": place.related(&["consumer-groups", &group, "consumers", id]),
        "max_lag_partition": place.related(&["topics", topic, "partitions", &number]),
    });
    let path = ["consumer-groups", group.as_str(), "lag-summary"];
    let name = format!("/consumer-group={group}/lag-summary");
    Ok(Json(place.object("KafkaConsumerGroupLagSummary", &path, &name, members)))
}
