//! `POST /api/messaging/broadcasts`

use super::data::BroadcastData;
use super::request::{BroadcastRequest, read};
use crate::application::broadcasts::send_broadcast::{SendBroadcastCommand, SendBroadcastError};
use crate::application::messages::open_bound::TooManyOpen;
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::access::principal::Scope;
use crate::presentation::http::messages::key::{idempotency_key, said_to_be_repeated};
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::LargeBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

/// Send to many
///
/// Stores one content and its recipients, and answers at once. The messages are made afterwards, a few thousand ahead of what was
/// sent; with `ratePerMinute` as many as have their time within half a minute.
#[utoipa::path(post, path = "/api/messaging/broadcasts", operation_id = "sendBroadcast", tag = "broadcasts",
    request_body = BroadcastRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "The same key and body within 24 h are the same broadcast.")),
    responses(
        (status = 202, body = Envelope<BroadcastData>, description = "It is stored, and its messages will be made",
            headers(("Location" = String, description = "Where to look how far it is"),
                ("Idempotent-Replay" = String, description = "`true` when it was accepted by an earlier request"))),
        (status = 404, body = ProblemBody, content_type = "application/problem+json",
            description = "unknown-instance, unknown-group"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json",
            description = "too-many-open: with all recipients, more than `MAX_OPEN_PER_TENANT` messages of the tenant would be open"),
        Authenticated,
        WithBody,
    ))]
pub async fn send(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    headers: HeaderMap,
    body: LargeBody,
) -> Result<Response, Problem> {
    caller.must(Scope::MessagesWrite)?;
    let key = idempotency_key(&headers)?;
    let request = key.map(|key| IdempotentRequest::new(key, Sha256::digest(&body.bytes).into()));
    let command = SendBroadcastCommand { request, ..read(body, &state.gateway.channels)? };
    let gateway = state.gateway.clone();
    let accepting = async move { gateway.broadcasts.send.execute(&caller.0, command).await };
    let submission = to_its_end(&state.tasks, accepting).await??;
    let location = format!("/api/messaging/broadcasts/{}", submission.standing.broadcast.id);
    let data = BroadcastData::of(submission.standing, state.gateway.now());
    let mut response = Envelope::saying("Envio em massa aceito", data).with_status(StatusCode::ACCEPTED);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(said_to_be_repeated(response, submission.repeated))
}

impl From<SendBroadcastError> for Problem {
    fn from(error: SendBroadcastError) -> Self {
        match error {
            SendBroadcastError::Invalid(problems) => Problem::invalid_field(problems),
            SendBroadcastError::Forbidden(missing) => missing.into(),
            SendBroadcastError::UnknownInstance => Problem::unknown_instance(),
            SendBroadcastError::UnknownGroup => Problem::unknown_group(),
            SendBroadcastError::KeyReused => Problem::key_reused(),
            SendBroadcastError::TooManyOpen(TooManyOpen { open, limit }) => Problem::too_many_open(open, limit),
            SendBroadcastError::Search(error) => error.into(),
            SendBroadcastError::Repository(error) => error.into(),
        }
    }
}
