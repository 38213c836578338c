//! `GET /events/{id}` and `GET /events/{id}/status`

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::data::{EventData, HistoryData, history};
use crate::application::events::reporting::read_events::EventStory;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// Where an event is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventStatusData {
    /// Always true.
    success: bool,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    tipo: String,
    #[schema(example = "processed")]
    status: &'static str,
    error: Option<String>,
    #[schema(format = "date-time")]
    received_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
    history: Vec<HistoryData>,
}

/// Read an event
///
/// With its history and the messages that it became. Also at `/api/events/{id}`.
#[utoipa::path(get, path = "/events/{eventId}", operation_id = "readEvent", tag = "events",
    params(("eventId" = String, Path, description = "Its reporter's own id, or ours")),
    responses(
        (status = 200, body = EventData, description = "The event"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-event"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let room = state.large_answers.of_one(&caller.must(Scope::EventsRead)?.tenant).await?;
    room.json(&EventData::from(found(&state, &caller, id).await?))
}

/// Read an event's status
///
/// With its history. Also at `/api/events/{id}/status`.
#[utoipa::path(get, path = "/events/{eventId}/status", operation_id = "readEventStatus", tag = "events",
    params(("eventId" = String, Path, description = "Its reporter's own id, or ours")),
    responses(
        (status = 200, body = EventStatusData, description = "Its status"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-event"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated,
        WithQuery,
    ))]
pub async fn status(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<EventStatusData>, Problem> {
    caller.must(Scope::EventsRead)?;
    let EventStory { event, history: lines, .. } = found(&state, &caller, id).await?;
    Ok(Json(EventStatusData {
        success: true,
        id: event.name,
        tipo: event.kind.clone(),
        kind: event.kind,
        status: event.status.as_str(),
        error: event.error,
        received_at: rfc3339(event.received_at),
        updated_at: rfc3339(event.updated_at),
        history: history(lines),
    }))
}

async fn found(
    state: &SharedState,
    caller: &Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<EventStory, Problem> {
    let id = event_name(id).ok_or_else(Problem::unknown_event)?;
    state.gateway.reporting.read.one(&caller.0, &id).await?.ok_or_else(Problem::unknown_event)
}

/// What cannot be an event's name names none.
pub fn event_name(id: Result<Path<String>, PathRejection>) -> Option<String> {
    let Path(id) = id.ok()?;
    (!id.contains('\0') && id.chars().count() <= crate::domain::event::LONGEST_NAME).then_some(id)
}
