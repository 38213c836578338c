//! `POST /admin/emergency`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::access::principal::Scope;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// How the emergency mode is from now on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmergencyMode {
    emergency_mode: bool,
}

#[derive(Debug, ToSchema)]
#[schema(example = json!({"enabled": true}))]
#[allow(dead_code, reason = "it describes the body")]
pub struct SetEmergency {
    enabled: bool,
}

/// Switch the emergency mode of this process on or off
///
/// While it is on, events go to this process's spool alone, and wait there until it is switched off. It stays as it is set,
/// also after a restart, whatever `EMERGENCY_MODE` says. With several processes on several machines, each is switched for itself.
#[utoipa::path(post, path = "/admin/emergency", operation_id = "setEmergency", tag = "events",
    request_body(content = SetEmergency),
    responses((status = 200, body = EmergencyMode, description = "It is as was asked"), Authenticated, WithBody))]
pub async fn set(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<Json<EmergencyMode>, Problem> {
    caller.must(Scope::Admin)?;
    let Some(on) = body.value.get("enabled").and_then(Value::as_bool) else {
        return Err(Problem::invalid_field([FieldProblem::new("/enabled", "must be true or false")]));
    };
    let receiver = state.gateway.receiver.as_ref().ok_or_else(Problem::not_found)?;
    let emergency = receiver.emergency.clone();
    // It is written to a disk.
    let set = tokio::task::spawn_blocking(move || emergency.set(on)).await;
    set.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(Json(EmergencyMode { emergency_mode: receiver.emergency.is_on() }))
}
