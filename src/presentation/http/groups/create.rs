//! `POST /api/messaging/groups`

use super::data::{DescriptionField, GroupData, GroupNameField};
use crate::application::groups::create_group::{CreateGroupCommand, CreateGroupError};
use crate::domain::access::principal::Scope;
use crate::domain::instance::InstanceId;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::{SharedState, id_of};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use deserr::Deserr;
use utoipa::ToSchema;

/// A group to make.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({
    "instanceId": "01936c0e-1b7a-7000-8000-000000000000", "name": "Clientes", "description": "Os de sempre"
}))]
pub struct CreateGroupRequest {
    /// The `id` of the instance through which it is sent to.
    instance_id: String,
    name: GroupNameField,
    #[deserr(default)]
    description: Option<DescriptionField>,
}

/// Make a group
///
/// A list of recipients of one instance, without members yet.
#[utoipa::path(post, path = "/api/messaging/groups", operation_id = "createGroup", tag = "groups",
    request_body = CreateGroupRequest,
    responses(
        (status = 201, body = GroupData, description = "Made"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithBody,
    ))]
pub async fn create(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<(StatusCode, Json<GroupData>), Problem> {
    let caller = caller.must(Scope::MessagesWrite)?;
    let request: CreateGroupRequest =
        fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let command = CreateGroupCommand {
        instance: id_of(&request.instance_id).map(InstanceId),
        name: request.name.0,
        description: request.description.map(|description| description.0),
    };
    let group = state.gateway.groups.create.execute(caller, command).await?;
    Ok((StatusCode::CREATED, Json(group.into())))
}

impl From<CreateGroupError> for Problem {
    fn from(error: CreateGroupError) -> Self {
        match error {
            CreateGroupError::UnknownInstance => Problem::unknown_instance(),
            CreateGroupError::Repository(error) => error.into(),
        }
    }
}
