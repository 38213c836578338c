//! `PUT` and `DELETE /api/messaging/groups/{groupId}`

use super::data::{DescriptionField, GroupData, GroupNameField, group_id};
use crate::application::groups::change_groups::ChangeGroupError;
use crate::domain::access::principal::Scope;
use crate::domain::group::GroupChange;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithBody, WithQuery};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use deserr::Deserr;
use serde_json::Value;
use utoipa::ToSchema;

/// What to change of a group: absent members stay, a description that is null is cleared.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({"name": "Clientes de 2026"}))]
pub struct UpdateGroupRequest {
    #[deserr(default)]
    name: Option<GroupNameField>,
    #[deserr(default)]
    description: Option<DescriptionField>,
}

/// Change a group
///
/// A synced one has its provider's name again after the next sync.
#[utoipa::path(put, path = "/api/messaging/groups/{groupId}", operation_id = "updateGroup", tag = "groups",
    params(("groupId" = uuid::Uuid, Path, description = "The group's id")),
    request_body = UpdateGroupRequest,
    responses(
        (status = 200, body = GroupData, description = "Changed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-group"),
        Authenticated,
        WithBody,
    ))]
pub async fn update(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Json<GroupData>, Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    let id = group_id(id)?;
    let null = |name: &str| body.value.get(name).is_some_and(Value::is_null);
    if null("name") {
        return Err(Problem::invalid_field([FieldProblem::new("/name", "cannot be cleared")]));
    }
    let clears = null("description");
    let request: UpdateGroupRequest =
        fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let description = request.description.map(|description| Some(description.0));
    let change = GroupChange {
        name: request.name.map(|name| name.0),
        description: if clears { Some(None) } else { description },
    };
    Ok(Json(state.gateway.groups.change.update(caller, id, &change).await?.into()))
}

/// Delete a group
///
/// With its list of members; its messages stay. A synced one comes back with the next sync.
#[utoipa::path(delete, path = "/api/messaging/groups/{groupId}", operation_id = "deleteGroup", tag = "groups",
    params(("groupId" = uuid::Uuid, Path, description = "The group's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-group"),
        Authenticated,
        WithQuery,
    ))]
pub async fn delete(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    state.gateway.groups.change.delete(caller, group_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ChangeGroupError> for Problem {
    fn from(error: ChangeGroupError) -> Self {
        match error {
            ChangeGroupError::UnknownGroup => Problem::unknown_group(),
            ChangeGroupError::Repository(error) => error.into(),
        }
    }
}
