//! `POST /api/messaging/broadcasts/{broadcastId}/pause`, `resume` and `cancel`

use super::data::{BroadcastData, broadcast_id};
use crate::application::broadcasts::change_broadcast::ChangeBroadcastError;
use crate::application::ports::BroadcastChange;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

type Answer = Result<Json<Envelope<BroadcastData>>, Problem>;

/// Pause a broadcast
///
/// No more of its messages are made; those that are made (a few thousand) are sent.
#[utoipa::path(post, path = "/api/messaging/broadcasts/{broadcastId}/pause", operation_id = "pauseBroadcast",
    tag = "broadcasts",
    params(("broadcastId" = uuid::Uuid, Path, description = "The broadcast's id")),
    responses(
        (status = 200, body = Envelope<BroadcastData>, description = "It is paused"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-broadcast"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: it has ended"),
        Authenticated,
        WithQuery,
    ))]
pub async fn pause(
    state: State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    change(state, caller, id, BroadcastChange::Pause).await
}

/// Resume a broadcast
#[utoipa::path(post, path = "/api/messaging/broadcasts/{broadcastId}/resume", operation_id = "resumeBroadcast",
    tag = "broadcasts",
    params(("broadcastId" = uuid::Uuid, Path, description = "The broadcast's id")),
    responses(
        (status = 200, body = Envelope<BroadcastData>, description = "It goes on"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-broadcast"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: it has ended"),
        Authenticated,
        WithQuery,
    ))]
pub async fn resume(
    state: State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    change(state, caller, id, BroadcastChange::Resume).await
}

/// Cancel a broadcast
///
/// No more of its messages are made, and those that are queued are cancelled. One that is cancelled already is answered the same.
#[utoipa::path(post, path = "/api/messaging/broadcasts/{broadcastId}/cancel", operation_id = "cancelBroadcast",
    tag = "broadcasts",
    params(("broadcastId" = uuid::Uuid, Path, description = "The broadcast's id")),
    responses(
        (status = 200, body = Envelope<BroadcastData>, description = "It is cancelled"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-broadcast"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: it has finished"),
        Authenticated,
        WithQuery,
    ))]
pub async fn cancel(
    state: State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    change(state, caller, id, BroadcastChange::Cancel).await
}

async fn change(
    State(state): State<SharedState>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    change: BroadcastChange,
) -> Answer {
    caller.must(Scope::MessagesWrite)?;
    let (gateway, id) = (state.gateway.clone(), broadcast_id(id));
    let changing = async move { gateway.broadcasts.change.execute(&caller.0, id, change).await };
    let standing = to_its_end(&state.tasks, changing).await??;
    Ok(Json(Envelope::of(BroadcastData::of(standing, state.gateway.now()))))
}

impl From<ChangeBroadcastError> for Problem {
    fn from(error: ChangeBroadcastError) -> Self {
        match error {
            ChangeBroadcastError::UnknownBroadcast => Problem::unknown_broadcast(),
            ChangeBroadcastError::Refused(status) => Problem::conflict(format!("The broadcast is {status}.")),
            ChangeBroadcastError::InDoubt => Problem::unavailable(
                "the database has just started: a message that looks queued may be under way; ask again",
            ),
            ChangeBroadcastError::Repository(error) => error.into(),
        }
    }
}
