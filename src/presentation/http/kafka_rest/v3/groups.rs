//! Consumer groups and their members.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestCaller, TO_ADMINISTER};
use super::shape::{Address, Place};
use crate::application::ports::{Group, Member};
use crate::presentation::http::wire::state::SharedState;

/// List consumer groups
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups", operation_id = "listKafkaConsumerGroups", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerGroupList"), Refusals))]
pub async fn list(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(id): Named<String>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let listed = place.kafka.groups.list().await.map_err(RestError::v3)?;
    let found = futures::future::join_all(listed.iter().map(|group| place.kafka.groups.find(&group.id))).await;
    let mut data = Vec::new();
    for group in found {
        // One that has ended meanwhile is none.
        data.extend(group.map_err(RestError::v3)?.map(|group| shown(&place, &group)));
    }
    Ok(Json(place.list("KafkaConsumerGroupList", &["consumer-groups"], data)))
}

fn shown(place: &Place, group: &Group) -> Value {
    let path = ["consumer-groups", group.id.as_str()];
    let coordinator = group.coordinator.map(|broker| place.related(&["brokers", &broker.to_string()]));
    let members = json!({
        "consumer_group_id": group.id,
        "is_simple": group.is_simple,
        "partition_assignor": group.assignor,
        "state": group.state.as_constant(),
        "type": group.protocol.as_constant(),
        "is_mixed_consumer_group": false,
        "coordinator": coordinator,
        "consumers": place.related(&["consumer-groups", &group.id, "consumers"]),
        "lag_summary": place.related(&["consumer-groups", &group.id, "lag-summary"]),
    });
    place.object("KafkaConsumerGroup", &path, &format!("/consumer-group={}", group.id), members)
}

async fn find(place: &Place<'_>, group: &str) -> Result<Group, RestError> {
    let found = place.kafka.groups.find(group).await.map_err(RestError::v3)?;
    found.ok_or_else(|| no_group(group))
}

pub(super) fn no_group(group: &str) -> RestError {
    RestError::new(40405, format!("Consumer group {group} cannot be found."))
}

/// Read a consumer group
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}", operation_id = "readKafkaConsumerGroup", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerGroup"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let group = find(&place, &group).await?;
    Ok(Json(shown(&place, &group)))
}

/// List the members of a consumer group
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}/consumers", operation_id = "listConsumers", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerList"), Refusals))]
pub async fn consumers(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let group = find(&place, &group).await?;
    let data = group.members.iter().map(|member| of_member(&place, &group.id, member)).collect();
    Ok(Json(place.list("KafkaConsumerList", &["consumer-groups", &group.id, "consumers"], data)))
}

fn of_member(place: &Place, group: &str, member: &Member) -> Value {
    let path = ["consumer-groups", group, "consumers", member.id.as_str()];
    let members = json!({
        "consumer_group_id": group,
        "consumer_id": member.id,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "assignments": place.related(&[&path[..], &["assignments"]].concat()),
    });
    place.object("KafkaConsumer", &path, &format!("/consumer-group={group}/consumer={}", member.id), members)
}

fn member(group: &Group, id: &str) -> Result<Member, RestError> {
    let found = group.members.iter().find(|member| member.id == id).cloned();
    found.ok_or_else(|| RestError::not_found(format!("Consumer {id} cannot be found.")))
}

/// Read a member of a consumer group
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}/consumers/{consumer_id}", operation_id = "readConsumer", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group"),
        ("consumer_id" = String, Path, description = "The member")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumer"), Refusals))]
pub async fn consumer(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group, consumer)): Named<(String, String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let group = find(&place, &group).await?;
    Ok(Json(of_member(&place, &group.id, &member(&group, &consumer)?)))
}

/// List the partitions that a member reads
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/consumer-groups/{consumer_group_id}/consumers/{consumer_id}/assignments", operation_id = "listAssignments", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("consumer_group_id" = String, Path, description = "The group"),
        ("consumer_id" = String, Path, description = "The member")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaConsumerAssignmentList"), Refusals))]
pub async fn assignments(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, group, consumer)): Named<(String, String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let group = find(&place, &group).await?;
    let member = member(&group, &consumer)?;
    let own = ["consumer-groups", group.id.as_str(), "consumers", member.id.as_str(), "assignments"];
    let assignment = |topic: &str, partition: i32| {
        let number = partition.to_string();
        let members = json!({
            "consumer_group_id": group.id,
            "consumer_id": member.id,
            "topic_name": topic,
            "partition_id": partition,
            "partition": place.related(&["topics", topic, "partitions", &number]),
            "lag": place.related(&["consumer-groups", &group.id, "lags", topic, "partitions", &number]),
        });
        let name = format!("/consumer-group={}/consumer={}/assignment={topic}/partition={number}", group.id, member.id);
        let path = [&own[..], &[topic, "partitions", &number]].concat();
        place.object("KafkaConsumerAssignment", &path, &name, members)
    };
    let data = member.assigned.iter().map(|each| assignment(&each.topic, each.partition)).collect();
    Ok(Json(place.list("KafkaConsumerAssignmentList", &own, data)))
}
