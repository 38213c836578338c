//! `POST /events`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::data::EventData;
use super::report_request::{ReportRequest, read};
use crate::application::events::reporting::report_event::ReportEventError;
use crate::domain::access::idempotency::IdempotencyKey;
use crate::domain::access::principal::Scope;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// Report an event
///
/// It is stored once: the same `id`, `idempotencyKey` or `Idempotency-Key` again, within 90 days, is answered with the first
/// event. The subscriptions then make messages of it. Also at `/api/events`.
#[utoipa::path(post, path = "/events", operation_id = "reportEvent", tag = "events",
    request_body = ReportRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "As `id`, where the body has none.")),
    responses(
        (status = 202, body = EventData, description = "It is stored, now or before"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json",
            description = "malformed-json, malformed-key, invalid-field: a type that is not known, or data that lack what it requires"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated,
        WithBody,
    ))]
pub async fn report(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::EventsWrite)?;
    let key = key(&headers)?;
    let report = read(body, key).map_err(invalid)?;
    let gateway = state.gateway.clone();
    let reporting = async move { gateway.reporting.report.execute(&caller.0, report).await };
    let reported = to_its_end(&state.tasks, reporting).await??;
    Ok((StatusCode::ACCEPTED, Json(EventData::reported(reported.event, reported.is_repeated))).into_response())
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = IdempotencyKey::parse(value.as_bytes()).ok_or_else(Problem::malformed_key)?;
    Ok(Some(key.as_str().to_owned()))
}

fn invalid(problems: Vec<FieldProblem>) -> Problem {
    let detail: Vec<String> = problems.iter().take(5).map(|it| format!("{} {}", it.path, it.detail)).collect();
    Problem::bad_request(problems).with_detail(format!("Dados de evento inválidos: {}.", detail.join("; ")))
}

impl From<ReportEventError> for Problem {
    fn from(error: ReportEventError) -> Self {
        match error {
            ReportEventError::Invalid(problems) => invalid(problems),
            ReportEventError::Repository(error) => error.into(),
        }
    }
}
