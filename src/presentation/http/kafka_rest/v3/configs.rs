//! The settings of topics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::admin::as_text;
use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestBody, RestCaller, TO_ADMINISTER, TO_READ};
use super::shape::{Address, Place};
use crate::application::ports::{SettingChange, TopicSetting};
use crate::presentation::http::wire::state::SharedState;

#[derive(Debug, Deserialize)]
struct NewValue {
    value: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Alteration {
    data: Vec<Change>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Debug, Deserialize)]
struct Change {
    name: String,
    value: Option<Value>,
    #[serde(default)]
    operation: Operation,
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Operation {
    #[default]
    Set,
    Delete,
}

/// List the settings of all topics
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/-/configs", operation_id = "listAllTopicConfigs", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaTopicConfigList"), Refusals))]
pub async fn list_all(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(id): Named<String>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let names = place.kafka.topics.names().await.map_err(RestError::v3)?;
    let settings = place.kafka.topics.settings(&names).await.map_err(RestError::v3)?;
    let of_topic = |(name, settings): (&String, &Vec<TopicSetting>)| {
        settings.iter().map(|setting| shown(&place, name, setting)).collect::<Vec<_>>()
    };
    let data = names.iter().zip(&settings).flat_map(of_topic).collect();
    Ok(Json(place.list("KafkaTopicConfigList", &["topics", "-", "configs"], data)))
}

/// List a topic's settings
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/configs", operation_id = "listTopicConfigs", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaTopicConfigList"), Refusals))]
pub async fn list(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic)): Named<(String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let settings = settings(&place, &topic).await?;
    let data = settings.iter().map(|setting| shown(&place, &topic, setting)).collect();
    Ok(Json(place.list("KafkaTopicConfigList", &["topics", &topic, "configs"], data)))
}

async fn settings(place: &Place<'_>, topic: &str) -> Result<Vec<TopicSetting>, RestError> {
    let settings = place.kafka.topics.settings(&[topic.to_owned()]).await.map_err(RestError::v3)?;
    Ok(settings.into_iter().next().unwrap_or_default())
}

fn shown(place: &Place, topic: &str, setting: &TopicSetting) -> Value {
    let synonyms: Vec<Value> = setting
        .synonyms
        .iter()
        .map(|synonym| json!({"name": synonym.name, "value": synonym.value, "source": synonym.source}))
        .collect();
    let members = json!({
        "topic_name": topic,
        "name": setting.name,
        "value": setting.value,
        "is_default": setting.is_default,
        "is_read_only": setting.is_read_only,
        "is_sensitive": setting.is_sensitive,
        "source": setting.source,
        "synonyms": synonyms,
    });
    let path = ["topics", topic, "configs", &setting.name];
    place.object("KafkaTopicConfig", &path, &format!("/topic={topic}/config={}", setting.name), members)
}

/// Read a setting of a topic
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/configs/{name}", operation_id = "readTopicConfig", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("name" = String, Path, description = "The setting")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaTopicConfig"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, name)): Named<(String, String, String)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let found = settings(&place, &topic).await?.into_iter().find(|setting| setting.name == name);
    let found = found.ok_or_else(|| RestError::not_found(format!("Config {name} cannot be found.")))?;
    Ok(Json(shown(&place, &topic, &found)))
}

/// Set a setting of a topic
#[utoipa::path(put, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/configs/{name}", operation_id = "setTopicConfig", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("name" = String, Path, description = "The setting")),
    request_body(content = Object, description = "`value`"),
    responses((status = 204, description = "It is set"), Refusals))]
pub async fn set(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, name)): Named<(String, String, String)>,
    address: Address,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let NewValue { value } = body.read()?;
    // Without one it would be given back to the broker's default.
    let value = value.ok_or_else(|| RestError::invalid(format!("the value of {name} is missing")))?;
    change(&place, &topic, vec![SettingChange { name, value: Some(as_text(value)) }], false).await
}

/// Give a setting of a topic back to the broker's default
#[utoipa::path(delete, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/configs/{name}", operation_id = "unsetTopicConfig", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic"),
        ("name" = String, Path, description = "The setting")),
    responses((status = 204, description = "It is the broker's default"), Refusals))]
pub async fn unset(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic, name)): Named<(String, String, String)>,
    address: Address,
) -> Result<StatusCode, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    change(&place, &topic, vec![SettingChange { name, value: None }], false).await
}

/// Change several settings of a topic, all or none
#[utoipa::path(post, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/configs:alter", operation_id = "alterTopicConfigs", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    request_body(content = Object, description = "`data`: `name`, `value` and `operation` (`SET`, `DELETE`) each; `validate_only`"),
    responses((status = 204, description = "They are changed"), Refusals))]
pub async fn alter(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, topic)): Named<(String, String)>,
    address: Address,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    caller.must(TO_ADMINISTER)?;
    let place = Place::find(&state, address, &id).await?;
    let Alteration { data, validate_only } = body.read()?;
    let changes = data.into_iter().map(|Change { name, value, operation }| match (operation, value) {
        (Operation::Delete, _) => Ok(SettingChange { name, value: None }),
        (Operation::Set, Some(value)) => Ok(SettingChange { name, value: Some(as_text(value)) }),
        (Operation::Set, None) => Err(RestError::invalid(format!("the value of {name} is missing"))),
    });
    change(&place, &topic, changes.collect::<Result<_, _>>()?, validate_only).await
}

async fn change(
    place: &Place<'_>,
    topic: &str,
    changes: Vec<SettingChange>,
    validate_only: bool,
) -> Result<StatusCode, RestError> {
    if let Some(change) = changes.iter().find(|change| change.name.is_empty()) {
        return Err(RestError::invalid(format!("a setting has no name: {:?}", change.value)));
    }
    if !changes.is_empty() {
        place.kafka.topics.change_settings(topic, &changes, validate_only).await.map_err(RestError::v3)?;
    }
    Ok(StatusCode::NO_CONTENT)
}
