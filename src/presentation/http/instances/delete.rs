//! `DELETE /api/messaging/instances/{instanceId}`

use super::data::instance_id;
use crate::application::instances::delete_instance::DeleteInstanceError;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::fields::{Flag, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::Query;
use crate::presentation::http::wire::state::SharedState;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deserr::Deserr;
use utoipa::IntoParams;

/// Whether to delete it at its provider, too.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct DeleteQuery {
    /// A provider that cannot be asked leaves the instance as it is: 502.
    #[param(value_type = Option<bool>)]
    #[deserr(default)]
    at_provider: Option<Flag>,
}

/// Delete an instance
///
/// It is gone at once, and its name is free. Its open messages fail soon after, in the background, with a sentence as their
/// `error`; until then they are shown as they were. All its messages stay to be looked at.
#[utoipa::path(delete, path = "/api/messaging/instances/{instanceId}", operation_id = "deleteInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id"), DeleteQuery),
    responses(
        (status = 204, description = "Deleted"),
        (status = 502, body = ProblemBody, content_type = "application/problem+json", description = "channel-failed: its provider did not delete it"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn delete(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<DeleteQuery>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let id = instance_id(id)?;
    if query.at_provider.is_some_and(|flag| flag.0)
        && let Some(Err(problem)) = state.gateway.instances.connect.remove(caller, id).await?
    {
        return Err(Problem::provider_failed(&problem));
    }
    state.gateway.instances.delete.execute(caller, id).await?;
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
