//! `GET /events/stats`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::access::principal::Scope;
use crate::domain::event::EventStatus;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// How many events there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventStatsData {
    /// Always true.
    success: bool,
    total: u64,
    /// Every status is there.
    by_status: BTreeMap<String, u64>,
    by_type: BTreeMap<String, u64>,
}

/// Count events
///
/// Also at `/api/events/stats`.
#[utoipa::path(get, path = "/events/stats", operation_id = "countEvents", tag = "events",
    responses((status = 200, body = EventStatsData, description = "Their numbers"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated, WithQuery))]
pub async fn stats(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
) -> Result<Json<EventStatsData>, Problem> {
    let caller = caller.must(Scope::EventsRead)?;
    let counts = state.gateway.reporting.read.count(caller).await?;
    let of = |status: &EventStatus| counts.by_status.get(status).copied().unwrap_or_default();
    Ok(Json(EventStatsData {
        success: true,
        total: counts.total(),
        by_status: EventStatus::ALL.iter().map(|status| (status.as_str().to_owned(), of(status))).collect(),
        by_type: counts.by_kind.clone(),
    }))
}
