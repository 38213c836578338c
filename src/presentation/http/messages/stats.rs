//! `GET /api/messaging/messages/stats`

use super::list::CountQuery;
use crate::domain::access::principal::Scope;
use crate::domain::message::MessageStatus;
use crate::presentation::http::wire::answers::{Authenticated, Searching, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::query::Query;
use crate::presentation::http::wire::state::SharedState;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// How many messages are in which state.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct StatsData {
    pending: u64,
    queued: u64,
    processing: u64,
    sent: u64,
    delivered: u64,
    read: u64,
    failed: u64,
    cancelled: u64,
    /// Those that have not ended: `pending`, `queued` and `processing`.
    open: u64,
    total: u64,
}

/// Count messages by state
///
/// Those that were sent; with `direction=received` those that channels brought, which are all `delivered`.
/// One that takes longer than 5 s is ended: narrow it.
#[utoipa::path(get, path = "/api/messaging/messages/stats", operation_id = "countMessages", tag = "messages",
    params(CountQuery),
    responses((status = 200, body = Envelope<StatsData>, description = "The counts"),
        Authenticated, Searching, WithQuery))]
pub async fn stats(
    State(state): State<SharedState>,
    caller: Caller,
    Query(query): Query<CountQuery>,
) -> Result<Json<Envelope<StatsData>>, Problem> {
    let caller = caller.must(Scope::MessagesRead)?;
    let counts = state.gateway.messages.read.count(caller, query.into()).await?;
    let of = |status| counts.get(&status).copied().unwrap_or(0);
    Ok(Json(Envelope::of(StatsData {
        pending: of(MessageStatus::Pending),
        queued: of(MessageStatus::Queued),
        processing: of(MessageStatus::Processing),
        sent: of(MessageStatus::Sent),
        delivered: of(MessageStatus::Delivered),
        read: of(MessageStatus::Read),
        failed: of(MessageStatus::Failed),
        cancelled: of(MessageStatus::Cancelled),
        open: MessageStatus::OPEN.into_iter().map(of).sum(),
        total: counts.values().sum(),
    })))
}
