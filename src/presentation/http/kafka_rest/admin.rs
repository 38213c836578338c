//! `/admin`: topics and consumer groups, for operators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::{Refusals, RestError};
use super::request::{Named, RestBody, RestCaller, TO_ADMINISTER, kafka};
use crate::application::kafka_rest::{GroupLags, Lag, NewOffset, ResetError, ResetTo, Selection};
use crate::application::ports::{AdministrationError, NewTopic};
use crate::presentation::http::wire::state::SharedState;

/// A topic to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewTopic, example = json!({"topic": "protheus-notas-fiscais", "partitions": 3, "replicationFactor": 1}))]
pub struct TopicToCreate {
    topic: String,
    /// The broker's default where it is absent.
    partitions: Option<i32>,
    /// The broker's default where it is absent.
    replication_factor: Option<i16>,
    /// Settings of the topic, such as `cleanup.policy`.
    #[serde(default)]
    #[schema(value_type = Object)]
    configs: std::collections::BTreeMap<String, Value>,
}

/// Where to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ResetOffsets, example = json!({"topic": "protheus-notas-fiscais", "to": "earliest", "dryRun": true}))]
pub struct Reset {
    /// All topics that the group has committed in, where it is absent.
    topic: Option<String>,
    /// `earliest`, `latest`, an offset, or a time (RFC 3339).
    #[schema(value_type = String)]
    to: Value,
    /// Only says what it would do.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OffsetsReset)]
pub struct Done {
    success: bool,
    group: String,
    dry_run: bool,
    offsets: Vec<Moved>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OffsetMoved)]
pub struct Moved {
    topic: String,
    partition: i32,
    /// Null where nothing was committed.
    previous_offset: Option<i64>,
    new_offset: i64,
}

impl From<NewOffset> for Moved {
    fn from(new: NewOffset) -> Self {
        let NewOffset { place, from, to } = new;
        Self { topic: place.topic, partition: place.partition, previous_offset: from, new_offset: to }
    }
}

/// Create a topic
///
/// Answers 409 when it is there already, and Kafka's own reason when it refuses.
#[utoipa::path(post, path = "/admin/topics", operation_id = "createTopic", tag = "kafka",
    request_body = TopicToCreate,
    responses((status = 201, content_type = "application/json", body = Object, description = "The topic is there"), Refusals))]
pub async fn create_topic(
    caller: RestCaller,
    State(state): State<SharedState>,
    body: RestBody,
) -> Result<Response, RestError> {
    caller.must(TO_ADMINISTER)?;
    let kafka = kafka(&state)?;
    let TopicToCreate { topic, partitions, replication_factor, configs } = body.read()?;
    let settings = configs.into_iter().map(|(name, value)| (name, as_text(value))).collect();
    let replication_factor = replication_factor.map(i32::from);
    let new = NewTopic { name: topic, partitions, replication_factor, assignments: Vec::new(), settings };
    kafka.topics.create(&new, false).await.map_err(|error| match error {
        AdministrationError::Exists(reason) => RestError::new(409, reason),
        error => RestError::v3(error),
    })?;
    let created = kafka.topics.describe(std::slice::from_ref(&new.name)).await;
    // It is there, though a broker may not know it yet.
    let created = created.ok().and_then(|topics| topics.into_iter().next());
    let answer = json!({
        "success": true,
        "topic": new.name,
        "partitions": created.as_ref().map(|topic| topic.partitions.len()),
        "replicationFactor": created.as_ref().map(|topic| topic.replication_factor()),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// A setting as Kafka takes it: numbers and booleans are texts, too.
pub fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// List consumer groups
#[utoipa::path(get, path = "/admin/groups", operation_id = "listConsumerGroups", tag = "kafka",
    responses((status = 200, content_type = "application/json", body = Object, description = "All groups of this Kafka, in order"), Refusals))]
pub async fn list_groups(caller: RestCaller, State(state): State<SharedState>) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let groups = kafka(&state)?.groups.list().await.map_err(RestError::v3)?;
    let groups: Vec<Value> = groups
        .into_iter()
        .map(|group| {
            json!({
                "group": group.id,
                "state": group.state.as_word(),
                "type": group.protocol.as_constant().to_ascii_lowercase(),
                "isSimple": group.is_simple,
            })
        })
        .collect();
    Ok(Json(json!({"success": true, "groups": groups})))
}

/// Read a consumer group, its members and its lag
///
/// A line for each partition of the topics that it has committed in or reads, also while its consumers are stopped. A partition
/// without a committed offset counts from its oldest record.
#[utoipa::path(get, path = "/admin/groups/{group}", operation_id = "describeConsumerGroup", tag = "kafka",
    params(("group" = String, Path, description = "Its id")),
    responses((status = 200, content_type = "application/json", body = Object, description = "The group"), Refusals))]
pub async fn describe_group(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(group): Named<String>,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let found = kafka(&state)?.groups.lags(&group).await.map_err(RestError::v3)?;
    let GroupLags { group, lines } = found.ok_or_else(|| unknown_group(&group))?;
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| {
            json!({
                "memberId": member.id,
                "instanceId": member.instance_id,
                "clientId": member.client_id,
                "host": member.host,
                "partitions": member.assigned.iter()
                    .map(|place| json!({"topic": place.topic, "partition": place.partition})).collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(Json(json!({
        "success": true,
        "group": group.id,
        "state": group.state.as_word(),
        "type": group.protocol.as_constant().to_ascii_lowercase(),
        "assignor": group.assignor,
        "coordinator": group.coordinator_address,
        "members": members,
        "totalLag": lines.iter().filter_map(Lag::lag).sum::<i64>(),
        "offsets": lines.iter().map(line).collect::<Vec<_>>(),
    })))
}

fn line(lag: &Lag) -> Value {
    json!({
        "topic": lag.place.topic,
        "partition": lag.place.partition,
        "committedOffset": lag.committed,
        "currentOffset": lag.current(),
        "beginningOffset": lag.beginning,
        "logEndOffset": lag.end,
        "lag": lag.lag(),
        "memberId": lag.member.as_ref().map(|member| member.id.clone()),
        "clientId": lag.member.as_ref().map(|member| member.client_id.clone()),
        "host": lag.member.as_ref().map(|member| member.host.clone()),
    })
}

/// Move a consumer group to another place in its topics
///
/// 409 while it has members: stop its consumers first. An offset that a partition does not have becomes the nearest that it has.
#[utoipa::path(post, path = "/admin/groups/{group}/offsets:reset", operation_id = "resetOffsets", tag = "kafka",
    params(("group" = String, Path, description = "Its id")),
    request_body = Reset,
    responses((status = 200, body = Done, description = "Where it goes on, or with `dryRun` would"), Refusals))]
pub async fn reset_offsets(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(group): Named<String>,
    body: RestBody,
) -> Result<Json<Done>, RestError> {
    caller.must(TO_ADMINISTER)?;
    let kafka = kafka(&state)?;
    let Reset { topic, to, dry_run } = body.read()?;
    let to = target(&to).ok_or_else(|| {
        RestError::invalid("`to` must be `earliest`, `latest`, an offset, or a time such as 2026-01-18T00:00:00Z.")
    })?;
    let selection = topic.map_or(Selection::AllTopics, |topic| Selection::Topics(vec![(topic, None)]));
    let offsets = kafka.reset_offsets.execute(&group, &selection, to, dry_run).await?;
    let offsets = offsets.into_iter().map(Moved::from).collect();
    Ok(Json(Done { success: true, group, dry_run, offsets }))
}

fn target(to: &Value) -> Option<ResetTo> {
    if let Some(offset) = to.as_i64() {
        return (offset >= 0).then_some(ResetTo::Offset(offset));
    }
    match to.as_str()? {
        "earliest" => Some(ResetTo::Earliest),
        "latest" => Some(ResetTo::Latest),
        text => match text.parse::<i64>() {
            Ok(offset) => (offset >= 0).then_some(ResetTo::Offset(offset)),
            Err(_) => chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| ResetTo::Time(at.timestamp_millis())),
        },
    }
}

fn unknown_group(group: &str) -> RestError {
    RestError::new(40405, format!("There is no consumer group `{group}`."))
}

impl From<ResetError> for RestError {
    fn from(error: ResetError) -> Self {
        let message = error.to_string();
        match error {
            ResetError::OwnGroup(_) => Self::new(40301, message),
            ResetError::Active { .. } => Self::new(409, message),
            ResetError::UnknownGroup(_) => Self::new(40405, message),
            ResetError::UnknownTopic(_) => Self::new(40403, message),
            ResetError::UnknownPartition(_) => Self::new(40402, message),
            ResetError::Administration(error) => Self::v3(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_go_to_is_a_word_an_offset_or_a_time() {
        for (to, expected) in [
            (json!("earliest"), Some(ResetTo::Earliest)),
            (json!("latest"), Some(ResetTo::Latest)),
            (json!("42"), Some(ResetTo::Offset(42))),
            (json!(42), Some(ResetTo::Offset(42))),
            (json!("1970-01-01T00:00:01Z"), Some(ResetTo::Time(1_000))),
            (json!("1970-01-01T01:00:00.5+01:00"), Some(ResetTo::Time(500))),
            (json!("-1"), None),
            (json!(-1), None),
            (json!("yesterday"), None),
            (json!(null), None),
            (json!(1.5), None),
        ] {
            assert_eq!(target(&to), expected, "{to}");
        }
    }
}
