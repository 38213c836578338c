//! `POST /sources/{path}`, `POST /sources/{path}/{secret}` and `GET /sources/{path}`

use std::collections::HashMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::application::sources::receive_report::{ReceiveReportError, SourceReport};
use crate::domain::access::principal::Scope;
use crate::domain::source::Source;
use crate::domain::source::proof::Proof;
use crate::presentation::http::wire::body::with_what_was_sent;
use crate::presentation::http::wire::caller::authenticated;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// Report to a source
///
/// As `correio.toml` describes it: its proof, where type and id are found, and its answer.
#[utoipa::path(post, path = "/sources/{path}", operation_id = "reportToSource", tag = "sources", security(()),
    params(("path" = String, Path, description = "The source's path")),
    responses(
        (status = 200, description = "It is stored, or as the source says"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed-json"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "forbidden"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "invalid-field"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json", description = "internal"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn receive(
    state: State<SharedState>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Ok(Path(path)) = path else { return Err(Problem::not_found()) };
    answer(state, &path, None, request).await
}

/// Report to a source whose secret is in the path
#[utoipa::path(post, path = "/sources/{path}/{secret}", operation_id = "reportToSourceBySecret", tag = "sources", security(()),
    params(("path" = String, Path, description = "The source's path"), ("secret" = String, Path, description = "Its secret")),
    responses(
        (status = 200, description = "It is stored, or as the source says"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed-json"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "forbidden"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "invalid-field"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json", description = "internal"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn receive_by_secret(
    state: State<SharedState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Ok(Path((path, secret))) = path else { return Err(Problem::not_found()) };
    answer(state, &path, Some(secret), request).await
}

/// Shake hands with a source
///
/// Answers the challenge of a source that signs as Meta does and brings the configured `verify_token`.
#[utoipa::path(get, path = "/sources/{path}", operation_id = "shakeHandsWithSource", tag = "sources", security(()),
    params(("path" = String, Path, description = "The source's path")),
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "The challenge"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "forbidden"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json", description = "internal"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn shake_hands(
    State(state): State<SharedState>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Ok(Path(path)) = path else { return Err(Problem::not_found()) };
    let source = state.gateway.sources.source(&path).ok_or_else(Problem::not_found)?;
    if !matches!(source.proof, Proof::Signature { verify_token: Some(_), .. }) {
        return Err(Problem::not_found());
    }
    let query: HashMap<String, String> =
        form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let is_right = query.get("hub.verify_token").is_some_and(|shown| source.proof.shakes_hands(shown));
    let challenge = query.get("hub.challenge").filter(|_| is_right).ok_or_else(Problem::handshake_refused)?;
    Ok(([(header::CONTENT_TYPE, "text/plain")], challenge.clone()).into_response())
}

async fn answer(
    State(state): State<SharedState>,
    path: &str,
    path_secret: Option<String>,
    request: Request,
) -> Result<Response, Problem> {
    let source = state.gateway.sources.source(path).ok_or_else(Problem::not_found)?.clone();
    if path_secret.is_some() && !matches!(source.proof, Proof::PathSecret(_)) {
        return Err(Problem::not_found());
    }
    if matches!(source.proof, Proof::ApiKey) {
        must_be_of(&source, request.headers(), &state).await?;
    }
    let headers = texts(request.headers());
    let (head, body) = request.into_parts();
    let (sent, body) = with_what_was_sent(&head.headers, body, &state.bodies).await?;
    let gateway = state.gateway.clone();
    let report = SourceReport { headers, path_secret, sent: sent.into(), body: body.into() };
    let receiving = async move { gateway.sources.execute(&source, report).await };
    let reply = to_its_end(&state.tasks, receiving).await??;
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let is_json = reply.body.starts_with(['{', '[']);
    let content_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    Ok((status, [(header::CONTENT_TYPE, content_type)], reply.body).into_response())
}

/// A key of another tenant reports nothing here.
async fn must_be_of(source: &Source, headers: &HeaderMap, state: &SharedState) -> Result<(), Problem> {
    let caller = authenticated(headers, state).await?.principal;
    if caller.tenant != source.tenant {
        return Err(Problem::not_found());
    }
    if caller.may(Scope::EventsWrite) { Ok(()) } else { Err(Problem::forbidden(Scope::EventsWrite)) }
}

/// Those that are texts; of one that is there several times, the first.
fn texts(headers: &HeaderMap) -> HashMap<String, String> {
    let named = headers.keys().filter_map(|name| Some((name.as_str().to_owned(), headers.get(name)?.to_str().ok()?)));
    named.map(|(name, value)| (name, value.to_owned())).collect()
}

impl From<ReceiveReportError> for Problem {
    fn from(error: ReceiveReportError) -> Self {
        match error {
            ReceiveReportError::Unproved(sentence) => Problem::not_let_in(&format!("The report {sentence}.")),
            ReceiveReportError::NotJson(detail) => {
                Problem::malformed_json(format!("The report is not JSON: {detail}."))
            }
            ReceiveReportError::Invalid(problems) => Problem::invalid_field(problems),
            ReceiveReportError::Repository(error) => error.into(),
            error @ ReceiveReportError::Unusable(_) => Problem::internal(error),
        }
    }
}
