//! `/api/messaging/instances`: the configured channels of a tenant.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deserr::Deserr;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::SharedState;
use super::body::JsonBody;
use super::caller::Caller;
use super::envelope::{Envelope, raw_json, rfc3339};
use super::fields::{self, Address, MaxRetries, Name, Problems, unknown_channel};
use super::openapi::{Authenticated, WithBody, WithQuery};
use super::problem::{Problem, ProblemBody};
use super::query::{NoParameters, Query};
use crate::application::create_instance::{CreateInstanceCommand, CreateInstanceError};
use crate::application::delete_instance::DeleteInstanceError;
use crate::application::read_instances::ReadInstancesError;
use crate::application::update_instance::{UpdateInstanceCommand, UpdateInstanceError};
use crate::domain::channel::{ChannelName, FieldProblem};
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::principal::Scope;

/// A channel to configure.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({
    "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": "https://example.com/hooks"
}))]
pub struct CreateRequest {
    channel: Name,
    /// The client's name for it: unique in its channel.
    channel_instance_id: Name,
    /// Its address: the sender's number, the webhook's URL, ...
    channel_phone_or_id: Address,
    #[deserr(default)]
    name: Option<Name>,
    /// What the channel needs to be allowed in; never shown again.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    credentials: Option<Value>,
    #[deserr(default)]
    max_retries: Option<MaxRetries>,
    /// For the client's own use.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    metadata: Option<JsonObject>,
}

/// What to change of an instance: absent members stay, null clears.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({"name": "Pedidos", "maxRetries": 5}))]
pub struct UpdateRequest {
    #[deserr(default)]
    channel_phone_or_id: Option<Address>,
    #[deserr(default)]
    name: Option<Name>,
    /// Replaces all credentials.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    credentials: Option<Value>,
    #[deserr(default)]
    max_retries: Option<MaxRetries>,
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    metadata: Option<JsonObject>,
}

/// A JSON object, as compact text.
#[derive(Debug, Deserr)]
#[deserr(error = Problems, try_from(Value) = JsonObject::parse -> fields::Detail)]
pub struct JsonObject(String);

impl JsonObject {
    fn parse(value: Value) -> Result<Self, fields::Detail> {
        if value.is_object() { Ok(Self(value.to_string())) } else { Err("must be an object".into()) }
    }
}

/// A configured channel, without its credentials.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceData {
    id: String,
    user_id: String,
    name: Option<String>,
    channel: String,
    channel_instance_id: String,
    channel_phone_or_id: String,
    /// `connected`, `disconnected`, `connecting`, `error` or `pending`.
    status: &'static str,
    max_retries: Option<u32>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

/// A channel that was just configured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfiguredData {
    instance_id: String,
    message: &'static str,
    /// Credentials that were generated: shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, required = false)]
    credentials: Option<Value>,
    #[serde(flatten)]
    instance: InstanceData,
}

impl From<Instance> for InstanceData {
    fn from(instance: Instance) -> Self {
        Self {
            id: instance.id.to_string(),
            user_id: instance.user_id,
            name: instance.name,
            channel: instance.channel.to_string(),
            channel_instance_id: instance.channel_instance_id,
            channel_phone_or_id: instance.channel_phone_or_id,
            status: instance.status.as_str(),
            max_retries: instance.max_retries,
            metadata: raw_json(instance.metadata),
            created_at: rfc3339(instance.created_at),
            updated_at: rfc3339(instance.updated_at),
        }
    }
}

/// Which instances to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct ListQuery {
    #[deserr(default)]
    channel: Option<Name>,
}

/// Configure a channel
#[utoipa::path(post, path = "/api/messaging/instances", operation_id = "createInstance", tag = "instances",
    request_body = CreateRequest,
    responses(
        (status = 201, body = Envelope<ConfiguredData>, description = "Configured"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict"),
        Authenticated,
        WithBody,
    ))]
pub async fn create(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let unknown = unknown_channel(body.value.get("channel"), &state.create_instance.channels);
    let request = match (fields::read::<CreateRequest>(body.value), unknown) {
        (Ok(request), None) => request,
        (read, unknown) => {
            let more = read.err().unwrap_or_default();
            return Err(Problem::invalid_field(more.0.into_iter().chain(unknown)));
        }
    };
    let command = CreateInstanceCommand {
        channel: ChannelName::new(request.channel.0),
        channel_instance_id: request.channel_instance_id.0,
        channel_phone_or_id: request.channel_phone_or_id.0,
        name: request.name.map(|name| name.0),
        credentials: request.credentials,
        max_retries: request.max_retries.map(|tries| tries.0),
        metadata: request.metadata.map(|metadata| metadata.0),
    };
    let configured = state.create_instance.execute(caller, command).await?;
    let data = ConfiguredData {
        instance_id: configured.instance.id.to_string(),
        message: "Instância criada com sucesso",
        credentials: configured.revealed_credentials,
        instance: configured.instance.into(),
    };
    Ok(Envelope::saying("Instância criada com sucesso", data).with_status(StatusCode::CREATED))
}

/// Configure a channel (the path that existing clients know)
#[utoipa::path(post, path = "/api/messaging/instance", operation_id = "createInstanceAsKnown", tag = "instances",
    request_body = CreateRequest,
    responses(
        (status = 201, body = Envelope<ConfiguredData>, description = "Configured"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict"),
        Authenticated,
        WithBody,
    ))]
pub async fn create_as_known(
    state: State<SharedState>,
    caller: Caller,
    query: Query<NoParameters>,
    body: JsonBody,
) -> Result<Response, Problem> {
    create(state, caller, query, body).await
}

/// List instances
///
/// Oldest first.
#[utoipa::path(get, path = "/api/messaging/instances", operation_id = "listInstances", tag = "instances",
    params(ListQuery),
    responses(
        (status = 200, body = Envelope<Vec<InstanceData>>, description = "All of them"),
        Authenticated,
        WithQuery,
    ))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Envelope<Vec<InstanceData>>>, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let channel = query.channel.map(|name| ChannelName::new(name.0));
    let instances = state.read_instances.all(caller, channel.as_ref()).await?;
    let data = instances.into_iter().map(InstanceData::from).collect();
    Ok(Json(Envelope::saying("Instâncias listadas com sucesso", data)))
}

/// Read an instance
#[utoipa::path(get, path = "/api/messaging/instances/{instanceId}", operation_id = "readInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 200, body = Envelope<InstanceData>, description = "The instance"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<InstanceData>>, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let instance = state.read_instances.one(caller, instance_id(id)?).await?;
    Ok(Json(Envelope::of(instance.into())))
}

/// Change an instance
///
/// Its channel and `channelInstanceId` stay: messages refer to them.
#[utoipa::path(patch, path = "/api/messaging/instances/{instanceId}", operation_id = "updateInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    request_body = UpdateRequest,
    responses(
        (status = 200, body = Envelope<ConfiguredData>, description = "Changed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithBody,
    ))]
pub async fn update(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let id = instance_id(id)?;
    let command = read_update(body.value)?;
    let configured = state.update_instance.execute(caller, id, command).await?;
    let data = ConfiguredData {
        instance_id: configured.instance.id.to_string(),
        message: "Instância atualizada com sucesso",
        credentials: configured.revealed_credentials,
        instance: configured.instance.into(),
    };
    Ok(Envelope::saying("Instância atualizada com sucesso", data).with_status(StatusCode::OK))
}

pub(super) fn read_update(value: Value) -> Result<UpdateInstanceCommand, Problem> {
    let given: Map<String, Value> = value.as_object().cloned().unwrap_or_default();
    let null = |name: &str| given.get(name).is_some_and(Value::is_null);
    let mut problems = Vec::new();
    for name in ["channelPhoneOrId", "credentials"] {
        if null(name) {
            problems.push(FieldProblem::new(format!("/{name}"), "cannot be cleared"));
        }
    }
    let request = match fields::read::<UpdateRequest>(value) {
        Ok(request) if problems.is_empty() => request,
        Ok(_) => return Err(Problem::invalid_field(problems)),
        Err(more) => return Err(Problem::invalid_field(problems.into_iter().chain(more.0))),
    };
    // Given as null clears; not given stays.
    let given = |name: &str| given.contains_key(name);
    Ok(UpdateInstanceCommand {
        channel_phone_or_id: request.channel_phone_or_id.map(|address| address.0),
        name: given("name").then(|| request.name.map(|name| name.0)),
        credentials: request.credentials,
        max_retries: given("maxRetries").then(|| request.max_retries.map(|tries| tries.0)),
        metadata: given("metadata").then(|| request.metadata.map(|metadata| metadata.0)),
    })
}

/// Delete an instance
///
/// Its open messages fail; all its messages stay to be looked at.
#[utoipa::path(delete, path = "/api/messaging/instances/{instanceId}", operation_id = "deleteInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn delete(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    state.delete_instance.execute(caller, instance_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn instance_id(id: Result<Path<String>, PathRejection>) -> Result<InstanceId, Problem> {
    super::path_id(id).map(InstanceId).ok_or_else(Problem::unknown_instance)
}

impl From<CreateInstanceError> for Problem {
    fn from(error: CreateInstanceError) -> Self {
        match error {
            CreateInstanceError::Invalid(problems) => Problem::invalid_field(problems),
            CreateInstanceError::Taken => {
                Problem::conflict("There is an instance of this channel and channelInstanceId already.")
            }
            CreateInstanceError::Cipher(error) => Problem::internal(error),
            CreateInstanceError::Repository(error) => error.into(),
        }
    }
}

impl From<UpdateInstanceError> for Problem {
    fn from(error: UpdateInstanceError) -> Self {
        match error {
            UpdateInstanceError::Invalid(problems) => Problem::invalid_field(problems),
            UpdateInstanceError::UnknownInstance => Problem::unknown_instance(),
            UpdateInstanceError::Cipher(error) => Problem::internal(error),
            UpdateInstanceError::Repository(error) => error.into(),
        }
    }
}

impl From<ReadInstancesError> for Problem {
    fn from(error: ReadInstancesError) -> Self {
        match error {
            ReadInstancesError::Invalid(problem) => Problem::invalid_field([problem]),
            ReadInstancesError::UnknownInstance => Problem::unknown_instance(),
            ReadInstancesError::Repository(error) => error.into(),
        }
    }
}

impl From<DeleteInstanceError> for Problem {
    fn from(error: DeleteInstanceError) -> Self {
        match error {
            DeleteInstanceError::UnknownInstance => Problem::unknown_instance(),
            DeleteInstanceError::Repository(error) => error.into(),
        }
    }
}
