//! `DELETE /api/messaging/instances/{instanceId}`

use super::data::instance_id;
use crate::application::instances::delete_instance::DeleteInstanceError;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Delete an instance
///
/// It is gone at once, and its name is free. Its open messages fail soon after, in the background, with a sentence as their
/// `error`; until then they are shown as they were. All its messages stay to be looked at.
#[utoipa::path(delete, path = "/api/messaging/instances/{instanceId}", operation_id = "deleteInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn delete(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    state.gateway.instances.delete.execute(caller, instance_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<DeleteInstanceError> for Problem {
    fn from(error: DeleteInstanceError) -> Self {
        match error {
            DeleteInstanceError::UnknownInstance => Problem::unknown_instance(),
            DeleteInstanceError::Repository(error) => error.into(),
        }
    }
}
