//! `POST /events/{id}/retry` and `POST /events/{id}/reprocess`

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::data::EventData;
use super::read::event_name;
use crate::application::ports::Retry;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// Put a dead event back on its way
///
/// Its tries start again, and those of its messages that failed. Also as `/reprocess`, and below `/api/events`.
#[utoipa::path(post, path = "/events/{eventId}/retry", operation_id = "retryEvent", tag = "events",
    params(("eventId" = String, Path, description = "Its reporter's own id, or ours")),
    responses(
        (status = 200, body = EventData, description = "It is on its way again"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-event"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: it is not dead"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated,
        WithQuery,
    ))]
pub async fn retry(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<EventData>, Problem> {
    caller.must(Scope::EventsWrite)?;
    let id = event_name(id).ok_or_else(Problem::unknown_event)?;
    let gateway = state.gateway.clone();
    let retrying = async move { gateway.reporting.read.retry(&caller.0, &id).await };
    match to_its_end(&state.tasks, retrying).await?? {
        Retry::Retried(event) => Ok(Json(EventData::whole(*event))),
        Retry::NotDead(event) => {
            let sentence = format!("O evento não está na fila de mensagens mortas: seu status é {}.", event.status);
            Err(Problem::conflict(sentence))
        }
        Retry::Unknown => Err(Problem::unknown_event()),
    }
}
