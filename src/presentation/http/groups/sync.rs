//! `/api/messaging/groups/sync/{instanceId}`

use std::pin::pin;
use std::time::Duration;

use crate::application::groups::sync_groups::{AskedSync, SyncGroupsError};
use crate::domain::access::principal::Scope;
use crate::domain::group::sync::{GroupSync, SyncStatus};
use crate::domain::instance::InstanceId;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::{Envelope, rfc3339};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::{SharedState, path_id};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long a caller waits for the result.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a sync came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncedData {
    /// Groups that the provider has.
    total_groups: u32,
    /// Those of them that are stored.
    synced_groups: u32,
    /// Members of these.
    total_members: u32,
}

/// How far a sync has come.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStanding {
    /// `running`, `finished` or `failed`.
    status: &'static str,
    #[serde(flatten)]
    synced: SyncedData,
    /// Why it failed.
    error: Option<String>,
    #[schema(format = "date-time")]
    started_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&GroupSync> for SyncedData {
    fn from(sync: &GroupSync) -> Self {
        let GroupSync { total_groups, synced_groups, total_members, .. } = *sync;
        Self { total_groups, synced_groups, total_members }
    }
}

impl From<GroupSync> for SyncStanding {
    fn from(sync: GroupSync) -> Self {
        Self {
            status: sync.status.as_str(),
            synced: SyncedData::from(&sync),
            error: sync.error,
            started_at: rfc3339(sync.started_at),
            updated_at: rfc3339(sync.updated_at),
        }
    }
}

/// Sync an instance's groups
///
/// Brings the provider's groups here, with their members. One that takes longer than 10 s, or comes with `Prefer: respond-async`,
/// is answered 202 and goes on: `Location` says where to ask how far it has come.
#[utoipa::path(post, path = "/api/messaging/groups/sync/{instanceId}", operation_id = "syncGroups", tag = "groups",
    params(
        ("instanceId" = uuid::Uuid, Path, description = "The instance's id"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once"),
    ),
    responses(
        (status = 200, body = Envelope<SyncedData>, description = "They are synced"),
        (status = 202, body = Envelope<SyncStanding>, description = "It goes on",
            headers(("Location" = String, description = "Where to ask how far it has come"))),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-instance"),
        (status = 502, body = ProblemBody, content_type = "application/problem+json",
            description = "channel-failed: `details` has what the provider said"),
        Authenticated,
        WithQuery,
    ))]
pub async fn sync(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    caller.must(Scope::MessagesWrite)?;
    let id = path_id(id).map(InstanceId);
    let begun = match state.gateway.groups.sync.begin(&caller.0, id).await? {
        AskedSync::Begun(begun) => begun,
        AskedSync::Running(sync) => return Ok(goes_on(sync)),
    };
    let gateway = state.gateway.clone();
    let carrying_out = async move { gateway.groups.sync.carry_out(*begun).await };
    let mut carried_out = pin!(to_its_end(&state.tasks, carrying_out));
    let patience = if asks_for_no_wait(&headers) { Duration::ZERO } else { PATIENCE };
    match timeout(patience, carried_out.as_mut()).await {
        Ok(synced) => Ok(answer(&synced??)),
        Err(_) => Ok(goes_on(state.gateway.groups.sync.standing(&caller.0, id).await?)),
    }
}

fn answer(sync: &GroupSync) -> Response {
    let message = if sync.total_groups == 0 { "Nenhum grupo encontrado" } else { "Grupos sincronizados com sucesso" };
    Json(Envelope::saying(message, SyncedData::from(sync))).into_response()
}

fn goes_on(sync: GroupSync) -> Response {
    if sync.status == SyncStatus::Finished {
        return answer(&sync);
    }
    let location = format!("/api/messaging/groups/sync/{}", sync.instance_id);
    let mut response =
        Envelope::saying("Sincronização em andamento", SyncStanding::from(sync)).with_status(StatusCode::ACCEPTED);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// RFC 7240: preferences are separated by commas, their parameters by semicolons.
fn asks_for_no_wait(headers: &HeaderMap) -> bool {
    let lines = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| line.split(','));
    preferences
        .any(|preference| preference.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("respond-async"))
}

/// Ask how far a sync has come
///
/// The last one of this instance.
#[utoipa::path(get, path = "/api/messaging/groups/sync/{instanceId}", operation_id = "readGroupSync", tag = "groups",
    params(("instanceId" = uuid::Uuid, Path, description = "The instance's id")),
    responses(
        (status = 200, body = Envelope<SyncStanding>, description = "How far it has come"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json",
            description = "not-found: none was asked for"),
        Authenticated,
        WithQuery,
    ))]
pub async fn standing(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<SyncStanding>>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let sync = state.gateway.groups.sync.standing(caller, path_id(id).map(InstanceId)).await?;
    Ok(Json(Envelope::of(sync.into())))
}

impl From<SyncGroupsError> for Problem {
    fn from(error: SyncGroupsError) -> Self {
        match error {
            SyncGroupsError::UnknownInstance => {
                Problem::unknown_instance().with_detail("Instância não encontrada".to_owned())
            }
            SyncGroupsError::NoGroups => Problem::invalid_field([FieldProblem::new(
                "/instanceId",
                "is of a channel whose provider has no groups",
            )]),
            SyncGroupsError::Superseded => {
                Problem::conflict("Another sync of this instance's groups has begun since: look how far that one is.")
            }
            SyncGroupsError::NotSynced => {
                Problem::not_found().with_detail("The groups of this instance were not synced yet.".to_owned())
            }
            SyncGroupsError::Provider(reason) => {
                Problem::provider_failed("Erro ao buscar grupos da Evolution API").with_details(reason)
            }
            SyncGroupsError::Cipher(error) => Problem::internal(error),
            SyncGroupsError::Repository(error) => error.into(),
        }
    }
}
