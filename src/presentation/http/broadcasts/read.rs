//! `GET /api/messaging/broadcasts/{broadcastId}`, and its messages

use super::data::{BroadcastData, broadcast_id};
use crate::application::broadcasts::read_broadcasts::ReadBroadcastsError;
use crate::domain::access::principal::Scope;
use crate::presentation::http::messages::data::MessageData;
use crate::presentation::http::wire::answers::{Authenticated, Searching, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::Problems;
use crate::presentation::http::wire::page::{Cursor, Limit, Page};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use deserr::Deserr;
use utoipa::IntoParams;

/// Read a broadcast
///
/// How far it is: how many of its messages are in which state, and when it is expected to end.
#[utoipa::path(get, path = "/api/messaging/broadcasts/{broadcastId}", operation_id = "readBroadcast", tag = "broadcasts",
    params(("broadcastId" = uuid::Uuid, Path, description = "The broadcast's id")),
    responses(
        (status = 200, body = Envelope<BroadcastData>, description = "The broadcast"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-broadcast"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<BroadcastData>>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let standing = state.gateway.broadcasts.read.one(caller, broadcast_id(id)).await?;
    Ok(Json(Envelope::of(BroadcastData::of(standing, state.gateway.now()))))
}

/// Which page of the messages.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct BroadcastMessagesQuery {
    /// Messages a page; 50 when absent.
    #[deserr(default)]
    limit: Option<Limit>,
    /// `nextCursor` of the page before.
    #[deserr(default)]
    cursor: Option<Cursor>,
}

/// List the messages of a broadcast
///
/// In the order of its recipients; those without a message yet are missing.
#[utoipa::path(get, path = "/api/messaging/broadcasts/{broadcastId}/messages", operation_id = "listBroadcastMessages",
    tag = "broadcasts",
    params(("broadcastId" = uuid::Uuid, Path, description = "The broadcast's id"), BroadcastMessagesQuery),
    responses(
        (status = 200, body = Page<MessageData>, description = "A page of them"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-broadcast"),
        Authenticated,
        Searching,
        WithQuery,
    ))]
pub async fn messages(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<BroadcastMessagesQuery>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let limit = query.limit.map_or(Limit::DEFAULT, |limit| limit.0);
    let after = query.cursor.map(|cursor| cursor.0);
    let room = state.large_answers.of_list(&caller.tenant, limit).await?;
    let page = state.gateway.broadcasts.read.messages(caller, broadcast_id(id), after, limit).await?;
    room.json(&Page {
        success: true,
        data: page.messages.into_iter().map(MessageData::from).collect(),
        next_cursor: page.next.map(|id| Cursor(id).text()),
    })
}

impl From<ReadBroadcastsError> for Problem {
    fn from(error: ReadBroadcastsError) -> Self {
        match error {
            ReadBroadcastsError::UnknownBroadcast => Problem::unknown_broadcast(),
            ReadBroadcastsError::Search(error) => error.into(),
            ReadBroadcastsError::Repository(error) => error.into(),
        }
    }
}
