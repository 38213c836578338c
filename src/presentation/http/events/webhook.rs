//! `POST /webhook`

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::application::events::receive_webhook::{ReceiveWebhookError, TakenWebhook};
use crate::application::ports::SpoolError;
use crate::presentation::http::wire::body;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// The one thing that is refused, in the words that the CRM's administrators know.
const NO_META: &str = "❌ Meta dados inválidos ou ausentes";

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedWebhook {
    /// Always `accepted`.
    status: &'static str,
    /// `{entity}-{action}-{milliseconds}-{9 characters}`; of a repeat, the first one's.
    webhook_id: String,
    /// `kafka`, `direct-db`, `fallback-file` or `emergency-file`.
    delivery_method: &'static str,
    /// Milliseconds.
    processing_time: u64,
    message: String,
}

/// Take what a CRM reports
///
/// Bodies of both of Pipedrive's versions, of any content type, charset and compression. It is stored before it is answered: in the database, or, while
/// that is away and in emergency mode, in files of this process (`deliveryMethod`), from which it is stored later. One that
/// names neither `meta.entity` nor `meta.object`, or no `meta.action`, is refused; a repeat within 7 days is answered with the
/// first one's `webhookId`.
#[utoipa::path(post, path = "/webhook", operation_id = "receiveWebhook", tag = "events",
    request_body(content = Object, description = "As the CRM has it"),
    responses(
        (status = 202, body = AcceptedWebhook, description = "It is stored"),
        (status = 400, body = String, content_type = "text/html", description = "It says not what it is about, or what happened"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found: `WEBHOOK_ENABLED` is `false`"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large"),
        (status = 500, body = Object, description = "It could be stored nowhere"),
        (status = 503, body = Object, description = "It could be stored nowhere: the spool is full"),
    ), security(()))]
pub async fn receive(State(state): State<SharedState>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    taken(state, password(&headers), &headers, body).await
}

/// Take what a CRM reports that proves itself by its URL
#[utoipa::path(post, path = "/webhook/{secret}", operation_id = "receiveWebhookBySecret", tag = "events",
    params(("secret" = String, Path, description = "`WEBHOOK_SECRET`")),
    request_body(content = Object, description = "As the CRM has it"),
    responses(
        (status = 202, body = AcceptedWebhook, description = "It is stored"),
        (status = 400, body = String, content_type = "text/html", description = "It says not what it is about, or what happened"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found: `WEBHOOK_ENABLED` is `false`"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large"),
        (status = 500, body = Object, description = "It could be stored nowhere"),
        (status = 503, body = Object, description = "It could be stored nowhere: the spool is full"),
    ), security(()))]
pub async fn receive_by_secret(
    State(state): State<SharedState>,
    secret: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let secret = secret.ok().map(|Path(secret)| secret);
    taken(state, secret, &headers, body).await
}

/// The password of HTTP Basic.
fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// Its body is read only once it is let in.
async fn taken(
    state: SharedState,
    secret: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if state.gateway.receiver.as_ref().is_none_or(|receiver| receiver.webhook.is_none()) {
        return Err(Problem::not_found());
    }
    let is_let_in = state.webhook_secret.as_deref().is_none_or(|wanted| is_same(wanted, secret.as_deref()));
    if !is_let_in {
        return Err(Problem::not_let_in("The secret of the webhook is missing or wrong."));
    }
    let bytes = body::as_meant(headers, body, &state.bodies).await?;
    // A CRM that hangs up does not end what was begun.
    let gateway = state.gateway.clone();
    let kept = async move {
        let webhook = gateway.receiver.as_ref().and_then(|receiver| receiver.webhook.as_ref())?;
        Some(webhook.execute(&bytes).await)
    };
    to_its_end(&state.tasks, kept).await?.map(answer).ok_or_else(Problem::not_found)
}

/// In the same time, whatever is wrong with it.
fn is_same(wanted: &str, given: Option<&str>) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    given.is_some_and(|given| digest(given) == digest(wanted))
}

fn answer(kept: Result<TakenWebhook, ReceiveWebhookError>) -> Response {
    match kept {
        Ok(taken) => {
            let accepted = AcceptedWebhook {
                status: "accepted",
                webhook_id: taken.webhook_id,
                delivery_method: taken.method.as_str(),
                processing_time: milliseconds(taken.took),
                message: format!("Webhook '{}' recebido e garantido para processamento", taken.action),
            };
            (StatusCode::ACCEPTED, Json(accepted)).into_response()
        }
        Err(ReceiveWebhookError::NotAReport(_)) => {
            (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "text/html; charset=utf-8")], NO_META).into_response()
        }
        Err(ReceiveWebhookError::Nowhere { webhook_id, took, cause }) => {
            let status = match cause {
                SpoolError::Full | SpoolError::Busy => StatusCode::SERVICE_UNAVAILABLE,
                SpoolError::Unusable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let body = json!({
                "status": "error",
                "webhookId": webhook_id,
                "error": "neither the database nor the spool takes it",
                "processingTime": milliseconds(took),
                "message": "Erro crítico: webhook não pôde ser processado",
            });
            (status, Json(body)).into_response()
        }
    }
}

fn milliseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
