//! `GET /api/messaging/instance/{instanceId}/qrcode`, `POST …/restart`, `POST …/logout`

use super::data::instance_id;
use super::qr_code::{Shown, shown};
use crate::application::instances::connect_instance::{Asked, ConnectInstanceError};
use crate::application::ports::Connection;
use crate::domain::access::principal::Scope;
use crate::domain::instance::ConnectionStatus;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// How an instance is connected at its provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionData {
    /// What is to be scanned: a whole `data:image/png;base64,…`. It lives for less than a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub qr_code: Option<String>,
    /// `connected`, `disconnected`, `connecting` or `error`.
    pub status: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// Seconds after which a code that is not there yet is worth asking for.
const SOON: HeaderValue = HeaderValue::from_static("3");

/// Show the code that connects an instance
///
/// Asks the provider for a connection when there is none; each answer has a fresh code. As JSON, or, with `Accept`, as
/// `image/png`, `image/svg+xml`, or `text/plain` (the block characters of a terminal). A code that is not ready yet is answered
/// as JSON without `qrCode`, with `Retry-After`.
#[utoipa::path(get, path = "/api/messaging/instance/{instanceId}/qrcode", operation_id = "showCode", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 200, body = Envelope<ConnectionData>, description = "How it is connected, and a code if it is not"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn code(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let connection = state.gateway.instances.connect.ask(caller, instance_id(id)?, Asked::Code).await?;
    let mut response = match connection.code.as_ref().and_then(|code| shown(code, &headers)) {
        Some(Shown { media_type, bytes }) => ([(CONTENT_TYPE, media_type)], bytes).into_response(),
        None => {
            let has_code = connection.code.as_ref().is_some_and(|code| code.image.is_some());
            let is_coming = !has_code && connection.status != ConnectionStatus::Connected;
            let mut response = Envelope::of(data(connection)).with_status(StatusCode::OK);
            if is_coming {
                response.headers_mut().insert(RETRY_AFTER, SOON);
            }
            response
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Connect an instance anew
#[utoipa::path(post, path = "/api/messaging/instance/{instanceId}/restart", operation_id = "restartInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 200, body = Envelope<ConnectionData>, description = "How it is connected"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn restart(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    asked(&state, caller, id, Asked::Restart).await
}

/// Take an instance's connection away
///
/// A code has to be scanned again before anything can be sent.
#[utoipa::path(post, path = "/api/messaging/instance/{instanceId}/logout", operation_id = "logOutInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 200, body = Envelope<ConnectionData>, description = "How it is connected"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn log_out(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    asked(&state, caller, id, Asked::LogOut).await
}

async fn asked(
    state: &SharedState,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    asked: Asked,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let connection = state.gateway.instances.connect.ask(caller, instance_id(id)?, asked).await?;
    let mut response = Envelope::of(data(connection)).with_status(StatusCode::OK);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn data(connection: Connection) -> ConnectionData {
    let qr_code = connection.code.and_then(|code| code.image);
    let message = match (&connection.problem, &qr_code, connection.status) {
        (Some(problem), None, _) => problem.clone(),
        (_, Some(_), _) => "QR Code gerado com sucesso. Escaneie em até 60 segundos.".to_owned(),
        (_, None, ConnectionStatus::Connected) => "Instância já está conectada".to_owned(),
        (_, None, ConnectionStatus::Disconnected) => "Instância desconectada".to_owned(),
        (_, None, _) => "QR Code não disponível no momento".to_owned(),
    };
    ConnectionData { qr_code, status: connection.status.as_str(), message }
}

impl From<ConnectInstanceError> for Problem {
    fn from(error: ConnectInstanceError) -> Self {
        match error {
            ConnectInstanceError::UnknownInstance => Problem::unknown_instance(),
            ConnectInstanceError::Cipher(error) => Problem::internal(error),
            ConnectInstanceError::Repository(error) => error.into(),
        }
    }
}
