//! `GET /api/messaging/messages/{id}`

use super::data::{AttemptData, MessageData};
use crate::application::messages::read_messages::ReadMessagesError;
use crate::domain::access::principal::Scope;
use crate::domain::message::MessageId;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::{SharedState, path_id};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;

/// Read a message
///
/// With every try at delivering it.
#[utoipa::path(get, path = "/api/messaging/messages/{id}", operation_id = "readMessage", tag = "messages",
    params(("id" = Uuid, Path, description = "The message's id")),
    responses(
        (status = 200, body = Envelope<MessageData>, description = "The message"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-message"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let id = path_id(id).map(MessageId).ok_or_else(Problem::unknown_message)?;
    let room = state.large_answers.of_one(&caller.tenant).await?;
    let (message, attempts) = state.gateway.messages.read.one(caller, id).await?;
    let attempts = attempts.into_iter().map(AttemptData::from).collect();
    room.json(&Envelope::of(MessageData { attempts: Some(attempts), ..message.into() }))
}

impl From<ReadMessagesError> for Problem {
    fn from(error: ReadMessagesError) -> Self {
        match error {
            ReadMessagesError::Invalid(problem) => Problem::invalid_field([problem]),
            ReadMessagesError::UnknownMessage => Problem::unknown_message(),
            ReadMessagesError::Search(error) => error.into(),
            ReadMessagesError::Repository(error) => error.into(),
        }
    }
}
