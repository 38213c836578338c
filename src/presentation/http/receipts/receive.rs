//! `POST /api/messaging/webhook/{channelInstanceId}`, and `/webhook/meta`

use crate::application::ports::SECRET_HEADER;
use crate::application::receipts::receive_events::ReceiveEventsError;
use crate::application::receipts::receive_signed_events::SignedReport;
use crate::presentation::http::wire::body;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// The header in which Meta signs the body.
const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// Meta's own reports have up to 3 MB.
const LARGEST_SIGNED: usize = 4 << 20;

/// What no instance is called.
const OF_APPS: &str = "meta";

#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    /// Always true.
    pub success: bool,
    pub message: &'static str,
}

/// Take what a provider reports of an instance
///
/// The instance is named as its client named it, and proved by the secret that its provider was given when it was connected: as
/// the header `X-Correio-Secret`, or as the last segment of the path. Meta's Cloud API proves itself by its signature over the
/// body instead (`X-Hub-Signature-256`). A wrong secret, a wrong signature and an unknown instance are answered alike.
/// Whatever else is reported is answered 200, also what is larger than `MAX_BODY_BYTES` and therefore passed over: a provider would
/// repeat it in vain.
#[utoipa::path(post, path = "/api/messaging/webhook/{channelInstanceId}", operation_id = "receiveEvents", tag = "providers",
    params(
        ("channelInstanceId" = String, Path, description = "The client's name for the instance"),
        ("X-Correio-Secret" = Option<String>, Header, description = "The instance's secret"),
        ("X-Hub-Signature-256" = Option<String>, Header, description = "Meta's signature: `sha256=` and 64 hex digits"),
    ),
    request_body(content = Object, description = "As the provider has it"),
    responses(
        (status = 200, body = Received, description = "Taken: what it says is stored"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large: too large to be proved"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn receive(
    State(state): State<SharedState>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, Problem> {
    let Path(name) = name.map_err(|_| not_let_in())?;
    if let Some(signature) = signature(&headers) {
        let named = state.gateway.signed_events.named(&name).await?;
        let body = to_be_proved(&headers, body, &state).await?;
        state.gateway.signed_events.take(&named, signed(signature, &body, &state)).await?;
        return Ok(received());
    }
    let secret = headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok());
    taken(&state, &name, secret, &headers, body).await
}

/// Take what Meta reports to an app that serves several numbers
///
/// Each report goes to the instances whose `channelPhoneOrId` is the number's id in it (`metadata.phone_number_id`), of every
/// tenant, and whose `appSecret` has signed it. A report of unknown numbers alone is answered as one with a wrong signature.
#[utoipa::path(post, path = "/api/messaging/webhook/meta", operation_id = "receiveEventsOfApp", tag = "providers",
    params(("X-Hub-Signature-256" = String, Header, description = "Meta's signature: `sha256=` and 64 hex digits")),
    request_body(content = Object, description = "As Meta has it"),
    responses(
        (status = 200, body = Received, description = "Taken: what it says is stored"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large: too large to be proved"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn receive_of_app(
    State(state): State<SharedState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, Problem> {
    let Some(signature) = signature(&headers) else {
        // Of an instance that was called so before the name was reserved.
        let secret = headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok());
        return taken(&state, OF_APPS, secret, &headers, body).await;
    };
    let body = to_be_proved(&headers, body, &state).await?;
    state.gateway.signed_events.take_of_app(signed(signature, &body, &state)).await?;
    Ok(received())
}

fn signature(headers: &HeaderMap) -> Option<&str> {
    // One that is no text proves nothing, and is not passed over either.
    headers.get(SIGNATURE_HEADER).map(|value| value.to_str().unwrap_or_default())
}

/// Take what a provider reports that cannot send a header of ours
#[utoipa::path(post, path = "/api/messaging/webhook/{channelInstanceId}/{secret}", operation_id = "receiveEventsBySecret",
    tag = "providers",
    params(
        ("channelInstanceId" = String, Path, description = "The client's name for the instance"),
        ("secret" = String, Path, description = "The instance's secret"),
    ),
    request_body(content = Object, description = "As the provider has it"),
    responses(
        (status = 200, body = Received, description = "Taken: what it says is stored"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn receive_by_secret(
    State(state): State<SharedState>,
    place: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, Problem> {
    let Path((name, last)) = place.map_err(|_| not_let_in())?;
    // Set up by hand, a provider may append the event's name to the path (`byEvents`) and bring the header.
    let secret = headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok()).unwrap_or(&last);
    taken(&state, &name, Some(secret), &headers, body).await
}

/// Its body is read only once it is let in.
async fn taken(
    state: &SharedState,
    name: &str,
    secret: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Json<Received>, Problem> {
    let events = &state.gateway.events;
    let instance = events.let_in(name, secret).await?;
    match body::uncompressed(headers, body, &state.bodies).await {
        Ok(body) => events.take(instance, &body).await?,
        Err(problem) if problem.status() == StatusCode::PAYLOAD_TOO_LARGE => events.pass_over(name),
        Err(problem) => return Err(to_be_repeated(problem)),
    }
    Ok(received())
}

/// Whole, also where it is larger than what is taken: only then its signature can be verified.
async fn to_be_proved(headers: &HeaderMap, body: Body, state: &SharedState) -> Result<Bytes, Problem> {
    body::uncompressed(headers, body, &state.bodies.at_least(LARGEST_SIGNED)).await.map_err(to_be_repeated)
}

fn signed<'a>(signature: &'a str, body: &'a [u8], state: &SharedState) -> SignedReport<'a> {
    SignedReport { signature, body, is_too_large: body.len() > state.bodies.most }
}

fn received() -> Json<Received> {
    Json(Received { success: true, message: "Webhook recebido" })
}

/// A body that did not arrive: a provider does not repeat what is answered 400.
fn to_be_repeated(problem: Problem) -> Problem {
    if problem.status() == StatusCode::BAD_REQUEST { Problem::unavailable("a report broke off") } else { problem }
}

fn not_let_in() -> Problem {
    Problem::not_let_in("No instance of this name has this secret.")
}

impl From<ReceiveEventsError> for Problem {
    fn from(error: ReceiveEventsError) -> Self {
        match error {
            ReceiveEventsError::NotLetIn => not_let_in(),
            ReceiveEventsError::Repository(error) => error.into(),
        }
    }
}
