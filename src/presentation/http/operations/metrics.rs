//! `GET /metrics`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::health::MetricsData;
use super::prometheus::{self, Format};
use crate::application::operations::report_metrics::{Kept, Metrics};
use crate::presentation::http::wire::state::SharedState;

/// What this process does, and what the installation keeps.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricsReport {
    middleware: MiddlewareData,
    metrics: MetricsData,
    outbox: OutboxCounts,
    kafka: KafkaData,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MiddlewareData {
    /// Seconds.
    uptime: f64,
    memory: MemoryData,
    /// Whether Kafka is there.
    connected: bool,
}

/// Bytes. The names are those of the Node bridge; a process without a garbage collector has one heap, and it is in use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryData {
    rss: u64,
    heap_total: u64,
    heap_used: u64,
    /// Always 0.
    external: u64,
    /// Always 0.
    array_buffers: u64,
}

/// Messages of all tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutboxCounts {
    total: u64,
    pending: u64,
    sent: u64,
    /// Failed, with a record on the topic of dead letters still to come.
    failed: u64,
    dlq: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KafkaData {
    connected: bool,
    brokers: Vec<String>,
}

/// What does it do?
///
/// JSON, unless the client asks for Prometheus's formats (`text/plain`, `application/openmetrics-text`).
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "health",
    responses((status = 200, description = "Counts", content(
        (MetricsReport = "application/json"),
        (String = "text/plain"),
        (String = "application/openmetrics-text"),
    ))), security(()))]
pub async fn metrics(State(state): State<SharedState>, headers: HeaderMap) -> Response {
    let metrics = state.gateway.operations.report_metrics.metrics().await;
    let resident = (state.resident_memory)();
    let vary = (VARY, "Accept");
    match Format::asked_for(accepted(&headers)) {
        Some(format) => {
            let text = prometheus::written(format, &metrics, resident, &state.topics.repaired.all());
            ([(CONTENT_TYPE, format.content_type()), vary], text).into_response()
        }
        None => ([vary], Json(report(metrics, resident))).into_response(),
    }
}

fn accepted(headers: &HeaderMap) -> String {
    let lines: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(",")
}

fn report(metrics: Metrics, resident: u64) -> MetricsReport {
    let Metrics { uptime, tally, kept, brokers, .. } = metrics;
    let memory = MemoryData { rss: resident, heap_total: resident, heap_used: resident, external: 0, array_buffers: 0 };
    MetricsReport {
        middleware: MiddlewareData { uptime: uptime.as_secs_f64(), memory, connected: brokers.connected },
        metrics: tally.into(),
        outbox: counts(&kept),
        kafka: KafkaData { connected: brokers.connected, brokers: brokers.addresses },
    }
}

fn counts(kept: &Kept) -> OutboxCounts {
    OutboxCounts { total: kept.total(), pending: kept.pending, sent: kept.sent, failed: kept.failed, dlq: kept.dlq }
}
