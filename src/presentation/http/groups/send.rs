//! `POST /api/messaging/groups/{groupId}/send`

use super::data::group_id;
use crate::application::groups::send_to_group::{GroupReport, SendToGroupCommand, SendToGroupError};
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::access::principal::Scope;
use crate::domain::group::GroupId;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::messages::content_request::{ContentRequest, read_content};
use crate::presentation::http::messages::key::{idempotency_key, said_to_be_repeated};
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// What has become of the messages to a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSentData {
    /// Messages: one to a synced group, one to each member of another.
    total: u64,
    sent: u64,
    failed: u64,
    /// Of those to members: where to look what becomes of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    broadcast_id: Option<String>,
    errors: Vec<GroupErrorData>,
}

/// Why the message to one recipient failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupErrorData {
    identifier: String,
    error: String,
}

/// Messages to a group that are delivered later.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupQueuedData {
    /// Of those to members: where to look what becomes of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    broadcast_id: Option<String>,
    total: u64,
    /// Always true.
    queued: bool,
}

/// What of a group's messages is told at once.
pub enum GroupAnswer {
    Sent(GroupSentData),
    Queued(GroupQueuedData),
}

/// Send to a group
///
/// One message to a synced group, one to each member of another. While the caller waits, it is answered after 25 s at the latest
/// with what has become of them so far; the others go on. Where nobody waits, with 202.
#[utoipa::path(post, path = "/api/messaging/groups/{groupId}/send", operation_id = "sendToGroup", tag = "groups",
    params(
        ("groupId" = uuid::Uuid, Path, description = "The group's id"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "The same key and body within 24 h send nothing again."),
    ),
    request_body = ContentRequest,
    responses(
        (status = 200, body = GroupSentData, description = "What has become of them",
            headers(("Idempotent-Replay" = String, description = "`true` when an earlier request's messages are told of"))),
        (status = 202, body = GroupQueuedData, description = "They are stored and will be delivered",
            headers(("Idempotent-Replay" = String, description = "`true` when they were accepted by an earlier request"))),
        (status = 404, body = ProblemBody, content_type = "application/problem+json",
            description = "unknown-group, unknown-instance"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "in-flight"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json",
            description = "too-many-open: with all members, more than `MAX_OPEN_PER_TENANT` messages of the tenant would be open"),
        Authenticated,
        WithBody,
    ))]
pub async fn send(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::MessagesWrite)?;
    let key = idempotency_key(&headers)?;
    let group = group_id(id)?;
    let request = key.map(|key| IdempotentRequest::new(key, fingerprint(group, &body.bytes)));
    if says_nothing(&body.value) {
        let missing = FieldProblem::new("/message", "is required");
        return Err(Problem::invalid_field([missing]).with_detail("message é obrigatório".to_owned()));
    }
    let content = read_content(body)?;
    let command = SendToGroupCommand { group: Some(group), request, ..content };
    let (answer, repeated) = send_to_group(&state, caller, command).await?;
    let response = match answer {
        GroupAnswer::Sent(data) => Json(data).into_response(),
        GroupAnswer::Queued(data) => (StatusCode::ACCEPTED, Json(data)).into_response(),
    };
    Ok(said_to_be_repeated(response, repeated))
}

/// One body to two groups is two requests.
fn fingerprint(group: GroupId, body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(group.0).chain_update(body).finalize().into()
}

/// Neither a text nor anything that stands for one.
fn says_nothing(value: &Value) -> bool {
    let given = |name: &str| value.get(name).filter(|member| !member.is_null());
    let other = given("payload").or(given("template"));
    let says_nothing = match given("message") {
        None => true,
        Some(text) => text == "" && given("mediaUrl").is_none(),
    };
    value.is_object() && other.is_none() && says_nothing
}

/// Also for a message that names a group. With whether an earlier request's answer is repeated.
pub async fn send_to_group(
    state: &SharedState,
    caller: Caller,
    command: SendToGroupCommand,
) -> Result<(GroupAnswer, bool), Problem> {
    let gateway = state.gateway.clone();
    let sending = async move {
        let (send, broadcast) = (&gateway.messages.send, &gateway.broadcasts.send);
        gateway.groups.send.execute(send, broadcast, &caller.0, command).await
    };
    let report = to_its_end(&state.tasks, sending).await??;
    let repeated = report.repeated;
    Ok((answer(report), repeated))
}

fn answer(report: GroupReport) -> GroupAnswer {
    let (total, broadcast_id) = (report.total, report.broadcast.map(|id| id.to_string()));
    let Some(outcomes) = report.outcomes else {
        return GroupAnswer::Queued(GroupQueuedData { broadcast_id, total, queued: true });
    };
    let (sent, failed) = (outcomes.sent, outcomes.failed);
    let errors = outcomes.errors.into_iter().map(|(identifier, error)| GroupErrorData { identifier, error });
    GroupAnswer::Sent(GroupSentData { total, sent, failed, broadcast_id, errors: errors.collect() })
}

impl From<SendToGroupError> for Problem {
    fn from(error: SendToGroupError) -> Self {
        match error {
            SendToGroupError::UnknownGroup => Problem::unknown_group(),
            SendToGroupError::UnknownInstance => Problem::unknown_instance(),
            SendToGroupError::OtherInstance => {
                Problem::invalid_field([FieldProblem::new("/groupId", "is a group of another instance")])
            }
            SendToGroupError::Send(error) => error.into(),
            SendToGroupError::Broadcast(error) => error.into(),
            SendToGroupError::Search(error) => error.into(),
            SendToGroupError::Repository(error) => error.into(),
        }
    }
}
