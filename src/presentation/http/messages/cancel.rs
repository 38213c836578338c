//! `POST /api/messaging/messages/{id}/cancel`

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::application::ports::Cancellation;
use crate::domain::access::principal::Scope;
use crate::domain::message::{MessageId, MessageStatus};
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::{SharedState, path_id};

/// A message that is not sent any more.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelledData {
    message_id: String,
    #[schema(example = "cancelled")]
    status: &'static str,
}

/// Cancel a queued message
///
/// While it waits: for its `sendAt`, for its next try, or for a worker. One that is cancelled already is answered the same.
#[utoipa::path(post, path = "/api/messaging/messages/{id}/cancel", operation_id = "cancelMessage", tag = "messages",
    params(("id" = Uuid, Path, description = "The message's id")),
    responses(
        (status = 200, body = Envelope<CancelledData>, description = "It is cancelled"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-message"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "conflict: it is being delivered, or has ended"),
        Authenticated,
        WithQuery,
    ))]
pub async fn cancel(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<CancelledData>>, Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    let id = path_id(id).map(MessageId).ok_or_else(Problem::unknown_message)?;
    match state.gateway.messages.cancel.execute(&caller.tenant, id).await? {
        Cancellation::Cancelled => {
            let status = MessageStatus::Cancelled.as_str();
            Ok(Json(Envelope::of(CancelledData { message_id: id.to_string(), status })))
        }
        Cancellation::NotQueued(status) => {
            Err(Problem::conflict(format!("The message is {status}; only a queued message can be cancelled.")))
        }
        Cancellation::InDoubt => Err(Problem::unavailable(
            "the database has just started: a message that looks queued may be under way; nothing is cancelled yet",
        )),
        Cancellation::Unknown => Err(Problem::unknown_message()),
    }
}
