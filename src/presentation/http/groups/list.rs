//! `GET /api/messaging/groups`, all or one

use super::data::{GroupData, group_id};
use crate::application::groups::read_groups::ReadGroupsError;
use crate::domain::access::principal::Scope;
use crate::domain::group::GroupId;
use crate::domain::instance::InstanceId;
use crate::presentation::http::wire::answers::{Authenticated, Searching, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::page::{IdCursor, NEXT_CURSOR, WideLimit};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::{SharedState, id_of};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::Response;
use deserr::Deserr;
use utoipa::IntoParams;

/// Which groups to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct ListGroupsQuery {
    /// Those of one instance: its `id`.
    #[param(value_type = Option<String>)]
    #[deserr(default)]
    instance_id: Option<InstanceField>,
    /// Groups an answer; as many as fit into 16 MiB, when absent.
    #[deserr(default)]
    limit: Option<WideLimit>,
    /// `x-next-cursor` of the answer before.
    #[deserr(default)]
    cursor: Option<IdCursor>,
}

/// An instance, which may be none: then it has no groups.
#[derive(Debug, Deserr)]
#[deserr(error = Problems, try_from(String) = InstanceField::parse -> fields::Detail)]
pub struct InstanceField(Option<InstanceId>);

impl InstanceField {
    fn parse(text: String) -> Result<Self, fields::Detail> {
        Ok(Self(id_of(&text).map(InstanceId)))
    }
}

/// List groups
///
/// Oldest first. Where they come to more than 16 MiB, `x-next-cursor` says how to get the others.
#[utoipa::path(get, path = "/api/messaging/groups", operation_id = "listGroups", tag = "groups",
    params(ListGroupsQuery),
    responses(
        (status = 200, body = Vec<GroupData>, description = "All of them",
            headers(("x-next-cursor" = String, description = "Where there are others: what to send as `cursor`"))),
        Authenticated,
        Searching,
        WithQuery,
    ))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<ListGroupsQuery>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let room = state.large_answers.of_list(&caller.tenant, u32::MAX).await?;
    let instance = match query.instance_id {
        Some(InstanceField(None)) => return room.json(&[(); 0]),
        Some(InstanceField(instance)) => instance,
        None => None,
    };
    let (after, limit) = (query.cursor.map(|cursor| GroupId(cursor.0)), WideLimit::of(query.limit));
    let listed = state.gateway.groups.read.all(caller, instance, after, limit).await?;
    let next = listed.groups.last().filter(|_| listed.more).map(|group| IdCursor(group.id.0).text());
    let groups: Vec<GroupData> = listed.groups.into_iter().map(GroupData::from).collect();
    Ok(with_next(room.json(&groups)?, next))
}

/// Says where the next page begins.
pub fn with_next(mut answer: Response, next: Option<String>) -> Response {
    if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
        answer.headers_mut().insert(NEXT_CURSOR.clone(), next);
    }
    answer
}

/// Read a group
#[utoipa::path(get, path = "/api/messaging/groups/{groupId}", operation_id = "readGroup", tag = "groups",
    params(("groupId" = uuid::Uuid, Path, description = "The group's id")),
    responses(
        (status = 200, body = GroupData, description = "The group"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-group"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<GroupData>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    Ok(Json(state.gateway.groups.read.one(caller, group_id(id)?).await?.into()))
}

impl From<ReadGroupsError> for Problem {
    fn from(error: ReadGroupsError) -> Self {
        match error {
            ReadGroupsError::UnknownGroup => Problem::unknown_group(),
            ReadGroupsError::Search(error) => error.into(),
            ReadGroupsError::Repository(error) => error.into(),
        }
    }
}
