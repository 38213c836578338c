//! `PATCH /api/messaging/instances/{instanceId}`

use super::data::{ConfiguredData, InstanceData, JsonObject, instance_id};
use crate::application::instances::update_instance::{UpdateInstanceCommand, UpdateInstanceError};
use crate::domain::access::principal::Scope;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Address, Name, Problems, RateField, TriesField};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use serde_json::{Map, Value};
use utoipa::ToSchema;

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
    max_retries: Option<TriesField>,
    /// Whether a message is tried again when it may have been delivered; null: as its channel does.
    #[deserr(default)]
    retry_unknown: Option<bool>,
    /// Calls a minute over all processes, from 1 to 1,000,000; null: as many as there are messages.
    #[deserr(default)]
    rate_limit_per_minute: Option<RateField>,
    /// Calls at once after a pause, where it has a rate; null: one.
    #[deserr(default)]
    burst: Option<RateField>,
    /// At most 16 KiB as compact JSON.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    metadata: Option<JsonObject>,
    /// `true` gives its provider a new secret for what it reports, and connects it anew; the former one is taken for `SECRET_OVERLAP`.
    #[deserr(default)]
    renew_event_secret: Option<bool>,
}

/// Change an instance
///
/// Its channel and `channelInstanceId` stay: messages refer to them. With other credentials an instance of a channel that connects
/// is connected anew, as when it was made.
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
    // What the provider was told with other credentials may be lost on it.
    let connects_anew = command.credentials.is_some();
    let renews_secret = command.renews_event_secret;
    let mut configured = state.gateway.instances.update.execute(caller, id, command).await?;
    let connect = &state.gateway.instances.connect;
    let connection = match (renews_secret, connects_anew) {
        (true, _) => connect.connect_with_new_secret(&mut configured.instance).await?,
        (false, true) => connect.connect(&mut configured.instance).await?,
        (false, false) => None,
    };
    let problem = connection.as_ref().and_then(|connection| connection.problem.as_ref());
    let problem = problem.map_or_else(String::new, |problem| format!(". {problem}"));
    let stuck = state.gateway.stuck.of(&configured.instance).await;
    let data = ConfiguredData {
        instance_id: configured.instance.id.to_string(),
        message: format!("Instância atualizada com sucesso{problem}"),
        qr_code: connection.and_then(|connection| connection.code).and_then(|code| code.image),
        credentials: configured.revealed_credentials,
        instance: InstanceData::of(configured.instance, stuck),
    };
    Ok(Envelope::saying("Instância atualizada com sucesso", data).with_status(StatusCode::OK))
}

pub(in crate::presentation::http) fn read_update(value: Value) -> Result<UpdateInstanceCommand, Problem> {
    let given: Map<String, Value> = value.as_object().cloned().unwrap_or_default();
    let null = |name: &str| given.get(name).is_some_and(Value::is_null);
    let mut problems = Vec::new();
    for name in ["channelPhoneOrId", "credentials", "renewEventSecret"] {
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
        max_tries: given("maxRetries").then(|| request.max_retries.map(|tries| tries.0)),
        retry_unknown: given("retryUnknown").then_some(request.retry_unknown),
        rate_limit_per_minute: given("rateLimitPerMinute").then(|| request.rate_limit_per_minute.map(|rate| rate.0)),
        burst: given("burst").then(|| request.burst.map(|burst| burst.0)),
        renews_event_secret: request.renew_event_secret == Some(true),
        metadata: given("metadata").then(|| request.metadata.map(|metadata| metadata.0)),
    })
}

impl From<UpdateInstanceError> for Problem {
    fn from(error: UpdateInstanceError) -> Self {
        match error {
            UpdateInstanceError::Invalid(problems) => Problem::invalid_field(problems),
            UpdateInstanceError::UnknownInstance => Problem::unknown_instance(),
            UpdateInstanceError::Forbidden(missing) => missing.into(),
            UpdateInstanceError::Cipher(error) => Problem::internal(error),
            UpdateInstanceError::Repository(error) => error.into(),
        }
    }
}
