//! `/api/messaging/messages/.../retry`: putting failed messages back on their way.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::list::{PurposeField, purposes};
use crate::application::ports::{FailedSelection, Replay};
use crate::domain::access::principal::Scope;
use crate::domain::message::{MessageId, MessageStatus};
use crate::presentation::http::wire::answers::{Authenticated, WithBody, WithQuery};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Name, Problems};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::{SharedState, path_id};

/// Which failed messages to replay; what is absent does not narrow.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({"status": "failed", "createdAfter": "2026-01-18T00:00:00Z"}))]
pub struct RetryRequest {
    /// Must be given, so that nothing is replayed by accident.
    #[deserr(rename = "status")]
    #[schema(rename = "status")]
    _status: Failed,
    /// `status`: those that tell subscribers of changes (status webhooks). When absent, all others.
    #[deserr(default)]
    purpose: Option<PurposeField>,
    #[deserr(default)]
    channel_instance_id: Option<Name>,
    /// Created at this moment or later.
    #[deserr(default)]
    created_after: Option<Moment>,
    /// Created before this moment.
    #[deserr(default)]
    created_before: Option<Moment>,
}

/// The only state that messages are replayed from.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = lowercase)]
#[schema(rename_all = "lowercase")]
pub enum Failed {
    Failed,
}

/// A message that is on its way again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetriedData {
    message_id: String,
    #[schema(example = "queued")]
    status: &'static str,
}

/// How many messages are on their way again.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetriedManyData {
    retried: u64,
}

/// Replay a failed message
///
/// Its tries start again; its attempts go on counting.
#[utoipa::path(post, path = "/api/messaging/messages/{id}/retry", operation_id = "retryMessage", tag = "messages",
    params(("id" = Uuid, Path, description = "The message's id")),
    responses(
        (status = 202, body = Envelope<RetriedData>, description = "It is on its way again"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-message"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: it has not failed"),
        Authenticated,
        WithQuery,
    ))]
pub async fn one(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    let id = path_id(id).map(MessageId).ok_or_else(Problem::unknown_message)?;
    match state.gateway.messages.replay.one(&caller.tenant, id).await? {
        Replay::Queued => {
            let data = RetriedData { message_id: id.to_string(), status: MessageStatus::Queued.as_str() };
            Ok(Envelope::of(data).with_status(StatusCode::ACCEPTED))
        }
        Replay::NotFailed => Err(Problem::conflict("The message has not failed.")),
        Replay::Unknown => Err(Problem::unknown_message()),
    }
}

/// Replay failed messages
///
/// All that match and have failed until now.
#[utoipa::path(post, path = "/api/messaging/messages/retry", operation_id = "retryMessages", tag = "messages",
    request_body = RetryRequest,
    responses(
        (status = 202, body = Envelope<RetriedManyData>, description = "They are on their way again"),
        Authenticated,
        WithBody,
    ))]
pub async fn many(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::MessagesWrite)?;
    let request: RetryRequest = fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let selection = FailedSelection {
        purposes: purposes(request.purpose),
        tenant: Some(caller.0.tenant),
        channel_instance_id: request.channel_instance_id.map(Name::into_string),
        created_after: request.created_after.map(|at| at.0),
        created_before: request.created_before.map(|at| at.0),
    };
    let gateway = state.gateway.clone();
    let retried = to_its_end(&state.tasks, async move { gateway.messages.replay.all(&selection).await }).await??;
    Ok(Envelope::of(RetriedManyData { retried }).with_status(StatusCode::ACCEPTED))
}
