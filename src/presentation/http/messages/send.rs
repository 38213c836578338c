//! `POST /api/messaging/message/send`

use std::pin::pin;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::channel::oneshot;
use futures::future::{Either, select};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::key::{idempotency_key, said_to_be_repeated};
use super::send_request::{AskedSend, SendRequest, read};
use crate::application::groups::send_to_group::SendToGroupCommand;
use crate::application::messages::open_bound::TooManyOpen;
use crate::application::messages::send_message::{SendMessageCommand, SendMessageError, Submission};
use crate::domain::access::idempotency::IdempotentRequest;
use crate::domain::access::principal::Scope;
use crate::domain::message::MessageStatus;
use crate::domain::message::delivery::FailureKind;
use crate::presentation::http::groups::send::{GroupAnswer, GroupQueuedData, GroupSentData, send_to_group};
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::{Envelope, rfc3339};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// What became of the message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentData {
    message_id: String,
    /// The channel's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_message_id: Option<String>,
    /// `sent`, or `queued` when it is delivered later.
    #[schema(example = "sent")]
    status: &'static str,
    /// When the channel took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    timestamp: Option<String>,
    /// True when it is delivered later.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<bool>,
}

/// Of a message, or of those to a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SendData {
    One(SentData),
    Group(GroupSentData),
    GroupQueued(GroupQueuedData),
}

/// Send a message
///
/// Stores it and delivers it while the caller waits, unless `sendAt` says later: then it answers 202. Where the instance's
/// `rateLimitPerMinute` allows no call now, it answers 503 with `Retry-After` when one is allowed within 30 s, else 202. A failure answers 422
/// (this recipient or content was refused for good) or 502 (the channel failed), with the message's id.
#[utoipa::path(
    post,
    path = "/api/messaging/message/send",
    operation_id = "sendMessage",
    tag = "messages",
    request_body = SendRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "The same key and body within 24 h repeat the first answer.")),
    responses(
        (status = 200, body = Envelope<SendData>, description = "The channel took it",
            headers(("Idempotent-Replay" = String, description = "`true` when an earlier request's answer is repeated"))),
        (status = 202, body = Envelope<SendData>, description = "It is stored and will be delivered"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance, unknown-group"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "in-flight; conflict: it was cancelled"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json",
            description = "too-many-open: `MAX_OPEN_PER_TENANT` messages of the tenant are open"),
        (status = 502, body = ProblemBody, content_type = "application/problem+json", description = "channel-failed"),
        Authenticated,
        WithBody,
    ),
)]
pub async fn send(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::MessagesWrite)?;
    let key = idempotency_key(&headers)?;
    let request = key.map(|key| IdempotentRequest::new(key, Sha256::digest(&body.bytes).into()));
    let command = match read(body, &state.gateway.channels)? {
        AskedSend::One(command) => SendMessageCommand { request, ..command },
        AskedSend::Group(command) => {
            return answer_of_group(&state, caller, SendToGroupCommand { request, ..command }).await;
        }
    };
    let gateway = state.gateway.clone();
    let (early, answered_early) = oneshot::channel();
    // A caller that hangs up does not cancel the delivery, nor does one that is answered before it is over.
    let sending =
        to_its_end(
            &state.tasks,
            async move { gateway.messages.send.execute_answering(&caller.0, command, early).await },
        );
    let submission = match select(pin!(sending), answered_early).await {
        Either::Left((sent, _)) => sent??,
        Either::Right((Ok(message), _)) => Submission { accepted_as: message.status, message, repeated: false },
        // It is over, or was queued: its answer comes at once.
        Either::Right((Err(_), sending)) => sending.await??,
    };
    Ok(answer(submission))
}

async fn answer_of_group(
    state: &SharedState,
    caller: Caller,
    command: SendToGroupCommand,
) -> Result<Response, Problem> {
    let (answer, repeated) = send_to_group(state, caller, command).await?;
    let (status, data) = match answer {
        GroupAnswer::Sent(data) => (StatusCode::OK, SendData::Group(data)),
        GroupAnswer::Queued(data) => (StatusCode::ACCEPTED, SendData::GroupQueued(data)),
    };
    Ok(said_to_be_repeated(Envelope::saying("Mensagem enviada para o grupo", data).with_status(status), repeated))
}

fn answer(submission: Submission) -> Response {
    let repeated = submission.repeated;
    said_to_be_repeated(first_answer(submission), repeated)
}

fn first_answer(submission: Submission) -> Response {
    let message = submission.message;
    let message_id = message.id.to_string();
    if submission.accepted_as == MessageStatus::Queued || message.status.is_open() {
        // A caller of direct mode that waited for too long; whatever else is open waits for the relay or a worker.
        let is_pending = message.status == MessageStatus::Pending;
        let status = if is_pending { MessageStatus::Pending } else { MessageStatus::Queued };
        let data = SentData {
            message_id,
            channel_message_id: None,
            status: status.as_str(),
            timestamp: None,
            queued: (!is_pending).then_some(true),
        };
        return Envelope::saying("Mensagem enviada com sucesso", SendData::One(data)).with_status(StatusCode::ACCEPTED);
    }
    // Under a key, or while its caller waited for a process that was frozen.
    if message.status == MessageStatus::Cancelled {
        return Problem::conflict("The message was cancelled.").into_response();
    }
    // A receipt can say later that a message failed which the channel had taken: its caller was answered that it was sent.
    if message.sent_at.is_none() {
        let reason = message.error.unwrap_or_default();
        return match message.failure {
            Some(FailureKind::Recipient) => Problem::recipient_refused(&message_id, &reason),
            Some(FailureKind::Channel | FailureKind::Unknown) | None => Problem::channel_failed(&message_id, &reason),
        }
        .into_response();
    }
    let data = SentData {
        message_id,
        channel_message_id: message.channel_message_id,
        status: MessageStatus::Sent.as_str(),
        timestamp: message.sent_at.map(rfc3339),
        queued: None,
    };
    Json(Envelope::saying("Mensagem enviada com sucesso", SendData::One(data))).into_response()
}

impl From<SendMessageError> for Problem {
    fn from(error: SendMessageError) -> Self {
        match error {
            SendMessageError::Invalid(problems) => Problem::invalid_field(problems),
            SendMessageError::Forbidden(missing) => missing.into(),
            SendMessageError::UnknownInstance => Problem::unknown_instance(),
            SendMessageError::KeyReused => Problem::key_reused(),
            SendMessageError::InFlight => Problem::in_flight(),
            SendMessageError::Busy(busy) => Problem::busy(busy),
            SendMessageError::TooManyOpen(TooManyOpen { open, limit }) => Problem::too_many_open(open, limit),
            SendMessageError::NotYet(later) => Problem::not_yet(later.reason, later.pause),
            SendMessageError::Repository(error) => error.into(),
        }
    }
}
