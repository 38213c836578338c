//! `/api/messaging/groups/{groupId}/members`, one by one

use super::data::{IdentifierTypeField, MemberData, group_id, identifier};
use super::list::with_next;
use crate::application::groups::change_members::{ChangeMembersError, NewMember};
use crate::domain::access::principal::Scope;
use crate::domain::group::member::{IdentifierType, MemberId};
use crate::domain::problem::FieldProblem;
use crate::presentation::http::instances::data::JsonObject;
use crate::presentation::http::wire::answers::{Authenticated, Searching, WithBody, WithQuery};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{self, Name, Problems};
use crate::presentation::http::wire::page::{IdCursor, WideLimit};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A member to add.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({
    "identifier": "5585999999999", "identifierType": "phone", "name": "Ana"
}))]
pub struct MemberRequest {
    /// The address of the recipient, in the words of the group's channel.
    identifier: Name,
    identifier_type: IdentifierTypeField,
    #[deserr(default)]
    name: Option<Name>,
    /// For the client's own use; at most 16 KiB as compact JSON.
    #[schema(value_type = Option<Object>)]
    #[deserr(default)]
    metadata: Option<JsonObject>,
}

/// # Errors
/// All that is wrong with it.
pub fn read_member(value: Value) -> Result<NewMember, Vec<FieldProblem>> {
    let request: MemberRequest = fields::read(value).map_err(|problems| problems.0)?;
    let kind = IdentifierType::from(request.identifier_type);
    let identifier = identifier(request.identifier.into_string(), kind)
        .map_err(|flaw| vec![FieldProblem::new("/identifier", flaw)])?;
    Ok(NewMember {
        identifier,
        name: request.name.map(Name::into_string),
        metadata: request.metadata.map(|metadata| metadata.0),
    })
}

/// Add a member
///
/// One whose identifier is in the group already gets the new name and metadata, where they are given: that answers 200.
#[utoipa::path(post, path = "/api/messaging/groups/{groupId}/members", operation_id = "addMember", tag = "groups",
    params(("groupId" = uuid::Uuid, Path, description = "The group's id")),
    request_body = MemberRequest,
    responses(
        (status = 201, body = MemberData, description = "Added"),
        (status = 200, body = MemberData, description = "It was in the group, and is changed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-group"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "conflict: the group is synced, or full"),
        Authenticated,
        WithBody,
    ))]
pub async fn add(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<(StatusCode, Json<MemberData>), Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    let id = group_id(id)?;
    let new = read_member(body.value).map_err(Problem::invalid_field)?;
    let added = state.gateway.groups.members.add(caller, id, new).await?;
    let status = if added.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(added.member.into())))
}

/// Which members to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct ListMembersQuery {
    /// Members an answer; as many as fit into 16 MiB, when absent.
    #[deserr(default)]
    limit: Option<WideLimit>,
    /// `x-next-cursor` of the answer before.
    #[deserr(default)]
    cursor: Option<IdCursor>,
}

/// List members
///
/// In the order in which they were added. Where they come to more than 16 MiB, `x-next-cursor` says how to get the others.
#[utoipa::path(get, path = "/api/messaging/groups/{groupId}/members", operation_id = "listMembers", tag = "groups",
    params(("groupId" = uuid::Uuid, Path, description = "The group's id"), ListMembersQuery),
    responses(
        (status = 200, body = Vec<MemberData>, description = "All of them",
            headers(("x-next-cursor" = String, description = "Where there are others: what to send as `cursor`"))),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-group"),
        Authenticated,
        Searching,
        WithQuery,
    ))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<ListMembersQuery>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let id = group_id(id)?;
    let room = state.large_answers.of_list(&caller.tenant, u32::MAX).await?;
    let (after, limit) = (query.cursor.map(|cursor| MemberId(cursor.0)), WideLimit::of(query.limit));
    let listed = state.gateway.groups.read.members(caller, id, after, limit).await?;
    let next = listed.members.last().filter(|_| listed.more).map(|member| IdCursor(member.id.0).text());
    let members: Vec<MemberData> = listed.members.into_iter().map(MemberData::from).collect();
    Ok(with_next(room.json(&members)?, next))
}

/// Remove a member
#[utoipa::path(delete, path = "/api/messaging/groups/{groupId}/members/{identifier}", operation_id = "removeMember",
    tag = "groups",
    params(
        ("groupId" = uuid::Uuid, Path, description = "The group's id"),
        ("identifier" = String, Path, description = "The member's identifier"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json",
            description = "unknown-group, unknown-member"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "conflict: the group is synced"),
        Authenticated,
        WithQuery,
    ))]
pub async fn remove(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    let Ok(Path((group, identifier))) = path else { return Err(Problem::unknown_member()) };
    let id = group_id(Ok(Path(group)))?;
    // PostgreSQL cannot look for U+0000, which no identifier has.
    if identifier.contains('\0') {
        return Err(Problem::unknown_member());
    }
    state.gateway.groups.members.remove(caller, id, &identifier).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ChangeMembersError> for Problem {
    fn from(error: ChangeMembersError) -> Self {
        match error {
            ChangeMembersError::UnknownGroup => Problem::unknown_group(),
            ChangeMembersError::UnknownMember => Problem::unknown_member(),
            ChangeMembersError::IsSynced => {
                Problem::conflict("The members of a synced group are its provider's: change them there.")
            }
            error @ ChangeMembersError::TooMany => Problem::conflict(format!("{error}: make another group.")),
            ChangeMembersError::Refused(flaw) => Problem::invalid_field([FieldProblem::new("/identifier", flaw)]),
            ChangeMembersError::Repository(error) => error.into(),
        }
    }
}
