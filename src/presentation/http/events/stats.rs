//! `GET /stats`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::state::SharedState;

/// How a receiver of webhooks is, as its operators' tools read it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatsOfReceiver {
    #[schema(format = "date-time")]
    timestamp: String,
    emergency_mode: bool,
    /// Events that wait in this process's spool.
    pending_fallback_files: u64,
    /// Seconds.
    uptime: f64,
    memory_usage: MemoryUsage,
}

/// Bytes of this process's memory, by the names that Node.js has for them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryUsage {
    rss: u64,
    heap_total: u64,
    heap_used: u64,
    external: u64,
    array_buffers: u64,
}

/// How is the receiver of webhooks?
#[utoipa::path(get, path = "/stats", operation_id = "receiverStats", tag = "health",
    responses((status = 200, body = StatsOfReceiver, description = "Its counts")), security(()))]
pub async fn stats(State(state): State<SharedState>) -> Json<StatsOfReceiver> {
    let health = &state.gateway.operations.report_health;
    let resident = (state.resident_memory)();
    let receiver = state.gateway.receiver.as_ref();
    Json(StatsOfReceiver {
        timestamp: rfc3339(health.clock.now()),
        emergency_mode: receiver.is_some_and(|receiver| receiver.emergency.is_on()),
        pending_fallback_files: receiver.map_or(0, |receiver| receiver.spool.standing().events),
        uptime: health.uptime().as_secs_f64(),
        memory_usage: MemoryUsage {
            rss: resident,
            heap_total: resident,
            heap_used: resident,
            external: 0,
            array_buffers: 0,
        },
    })
}
