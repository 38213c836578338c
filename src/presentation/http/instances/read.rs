//! `GET /api/messaging/instances`, all or one

use super::data::{InstanceData, instance_id};
use crate::application::instances::read_instances::ReadInstancesError;
use crate::domain::access::principal::Scope;
use crate::domain::instance::channel::ChannelName;
use crate::presentation::http::wire::answers::{Authenticated, Searching, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{Name, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use deserr::Deserr;
use utoipa::IntoParams;

/// Which instances to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase", parameter_in = Query)]
pub struct ListQuery {
    #[deserr(default)]
    channel: Option<Name>,
}

/// List instances
///
/// All of them, oldest first. Where they come to more than 16 MiB, name a channel.
#[utoipa::path(get, path = "/api/messaging/instances", operation_id = "listInstances", tag = "instances",
    params(ListQuery),
    responses(
        (status = 200, body = Envelope<Vec<InstanceData>>, description = "All of them"),
        Authenticated,
        Searching,
        WithQuery,
    ))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let channel = query.channel.map(|name| ChannelName::new(name.into_string()));
    let room = state.large_answers.of_list(&caller.tenant, u32::MAX).await?;
    let instances = state.gateway.instances.read.all(caller, channel.as_ref()).await?;
    let mut data = Vec::with_capacity(instances.len());
    for instance in instances {
        let stuck = state.gateway.stuck.of(&instance).await;
        data.push(InstanceData::of(instance, stuck));
    }
    room.json(&Envelope::saying("Instâncias listadas com sucesso", data))
}

/// Read an instance
#[utoipa::path(get, path = "/api/messaging/instances/{instanceId}", operation_id = "readInstance", tag = "instances",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 200, body = Envelope<InstanceData>, description = "The instance"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<InstanceData>>, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let instance = state.gateway.instances.read.one(caller, instance_id(id)?).await?;
    let stuck = state.gateway.stuck.of(&instance).await;
    Ok(Json(Envelope::of(InstanceData::of(instance, stuck))))
}

impl From<ReadInstancesError> for Problem {
    fn from(error: ReadInstancesError) -> Self {
        match error {
            ReadInstancesError::Invalid(problem) => Problem::invalid_field([problem]),
            ReadInstancesError::UnknownInstance => Problem::unknown_instance(),
            ReadInstancesError::Search(error) => error.into(),
            ReadInstancesError::Repository(error) => error.into(),
        }
    }
}
