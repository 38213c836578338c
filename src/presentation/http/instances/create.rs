//! `POST /api/messaging/instances`

use super::data::{ConfiguredData, InstanceData, JsonObject};
use crate::application::instances::create_instance::{CreateInstanceCommand, CreateInstanceError};
use crate::application::ports::{Channels, Connection};
use crate::domain::access::principal::Scope;
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Address, Name, Problems, RateField, TriesField, unknown_channel};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use serde_json::Value;
use utoipa::ToSchema;

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
    max_retries: Option<TriesField>,
    /// Whether a message is tried again when it may have been delivered, because its answer was lost. Null: as its channel
    /// does (webhooks: yes, they carry their id; WhatsApp: no).
    #[deserr(default)]
    retry_unknown: Option<bool>,
    /// Calls a minute over all processes, from 1 to 1,000,000. Null: as many as there are messages.
    #[deserr(default)]
    rate_limit_per_minute: Option<RateField>,
    /// Calls at once after a pause, where it has a rate. Null: one.
    #[deserr(default)]
    burst: Option<RateField>,
    /// For the client's own use; at most 16 KiB as compact JSON.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    metadata: Option<JsonObject>,
}

/// Configure a channel
#[utoipa::path(post, path = "/api/messaging/instances", operation_id = "createInstance", tag = "instances",
    request_body = CreateRequest,
    responses(
        (status = 201, body = Envelope<ConfiguredData>, description = "Configured"),
        (status = 200, body = Envelope<ConfiguredData>, description = "It was there, and what is given agrees with it"),
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
    let unknown = unknown_channel(body.value.get("channel"), &state.gateway.channels);
    let refused = refused_by_its_channel(&body.value, &state.gateway.channels);
    let request = match (fields::read::<CreateRequest>(body.value), unknown) {
        (Ok(request), None) => request,
        (read, unknown) => {
            let mut problems = read.err().unwrap_or_default().0;
            let is_new = |refused: &FieldProblem| problems.iter().all(|problem| problem.path != refused.path);
            let refused: Vec<FieldProblem> = refused.into_iter().filter(is_new).collect();
            problems.extend(refused);
            return Err(Problem::invalid_field(problems.into_iter().chain(unknown)));
        }
    };
    let command = CreateInstanceCommand {
        channel: ChannelName::new(request.channel.into_string()),
        channel_instance_id: request.channel_instance_id.0,
        channel_phone_or_id: request.channel_phone_or_id.0,
        name: request.name.map(|name| name.0),
        credentials: request.credentials,
        max_tries: request.max_retries.map(|tries| tries.0),
        retry_unknown: request.retry_unknown,
        rate_limit_per_minute: request.rate_limit_per_minute.map(|rate| rate.0),
        burst: request.burst.map(|burst| burst.0),
        metadata: request.metadata.map(|metadata| metadata.0),
    };
    let mut configured = state.gateway.instances.create.execute(caller, command).await?;
    let connection = state.gateway.instances.connect.connect(&mut configured.instance).await?;
    let (message, status) = match configured.is_known {
        true => ("Instância já existente", StatusCode::OK),
        false => ("Instância criada com sucesso", StatusCode::CREATED),
    };
    let (qr_code, said) =
        connection.map_or_else(|| (None, message.to_owned()), |it| connected(it, configured.is_known));
    let stuck = state.gateway.stuck.of(&configured.instance).await;
    let data = ConfiguredData {
        instance_id: configured.instance.id.to_string(),
        message: said,
        qr_code,
        credentials: configured.revealed_credentials,
        instance: InstanceData::of(configured.instance, stuck),
    };
    Ok(Envelope::saying(message, data).with_status(status))
}

/// What the channel has against its members, so that whoever has other mistakes in a request reads of these as well.
fn refused_by_its_channel(request: &Value, channels: &Channels) -> Vec<FieldProblem> {
    let name = request.get("channel").and_then(Value::as_str).map(|name| ChannelName::new(name.to_owned()));
    let Some(sender) = name.and_then(|name| channels.find(&name)) else { return Vec::new() };
    let address = request.get("channelPhoneOrId").and_then(Value::as_str);
    let refused = [
        address.and_then(|address| sender.check_address(address).err()),
        sender.check_credentials(request.get("credentials").filter(|given| !given.is_null())).err(),
    ];
    refused.into_iter().flatten().flatten().collect()
}

/// The code to scan, and what existing clients show of it. A provider that fails says why.
fn connected(connection: Connection, is_known: bool) -> (Option<String>, String) {
    let qr_code = connection.code.and_then(|code| code.image);
    let message = match (connection.status, is_known) {
        (ConnectionStatus::Connected, _) => "✅ Instância já está conectada!",
        (ConnectionStatus::Error, _) => "Instância não conectada.",
        (_, true) => "Instância já existente. Escaneie o QR Code.",
        (_, false) => "Instância criada. Escaneie o QR Code no WhatsApp.",
    };
    let problem = connection.problem.map_or_else(String::new, |problem| format!(" {problem}"));
    (qr_code, format!("{message}{problem}"))
}

/// Configure a channel (the path that existing clients know)
#[utoipa::path(post, path = "/api/messaging/instance", operation_id = "createInstanceAsKnown", tag = "instances",
    request_body = CreateRequest,
    responses(
        (status = 201, body = Envelope<ConfiguredData>, description = "Configured"),
        (status = 200, body = Envelope<ConfiguredData>, description = "It was there, and what is given agrees with it"),
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

impl From<CreateInstanceError> for Problem {
    fn from(error: CreateInstanceError) -> Self {
        match error {
            CreateInstanceError::Invalid(problems) => Problem::invalid_field(problems),
            CreateInstanceError::Forbidden(missing) => missing.into(),
            CreateInstanceError::Taken => Problem::conflict(
                "There is an instance of this channel and channelInstanceId already, with other members.",
            ),
            CreateInstanceError::Cipher(error) => Problem::internal(error),
            CreateInstanceError::Repository(error) => error.into(),
        }
    }
}
