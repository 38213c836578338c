//! `/health`: whether the process is alive, can serve, and how it is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::application::node::tally::TallySnapshot;
use crate::application::operations::report_health::{Condition, NotReady, ServiceCondition, Services};
use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::state::SharedState;

#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    /// `ok`
    status: &'static str,
}

/// How the process is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthData {
    /// `healthy`; `degraded` while Kafka or the database is away, and what comes is kept, or while `work` has troubles; or `unhealthy`.
    status: &'static str,
    #[schema(format = "date-time")]
    timestamp: String,
    /// Seconds.
    uptime: u64,
    kafka: KafkaHealth,
    outbox: OutboxHealth,
    /// Messages that have been `sent` for longer than `STUCK_AFTER` without a receipt, on channels that give receipts; null while it is
    /// not known.
    stuck: Option<u64>,
    storage: StorageHealth,
    work: WorkHealth,
    metrics: MetricsData,
    /// Whether events go to the spool alone.
    emergency_mode: bool,
    services: ServicesData,
    /// Absent in a process that takes no events in.
    #[serde(skip_serializing_if = "Option::is_none")]
    spool: Option<SpoolData>,
}

/// What the process leans on: `ok`, `error`, `disabled` where it is not used, `disabled-emergency` in emergency mode.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServicesData {
    kafka: &'static str,
    database: &'static str,
    filesystem: &'static str,
}

/// The events that wait on this machine until the database takes them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpoolData {
    pending: u64,
    bytes: u64,
    /// `SPOOL_MAX_BYTES`
    max_bytes: u64,
    /// What an operator has to put right, a sentence each. Empty when all is well.
    troubles: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KafkaHealth {
    /// Always false without brokers.
    connected: bool,
    brokers: Vec<String>,
    acks: &'static str,
    /// What has been wrong with Kafka for ten seconds or more, a sentence each: an address without an answer, a group that does
    /// not let this process in. Empty when all is well.
    troubles: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OutboxHealth {
    enabled: bool,
    /// Messages that still have to be delivered.
    pending: u64,
}

/// What this process does in the background.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkHealth {
    /// What it has not been able to do for ten seconds or more, a sentence each: to deliver, to publish or route events, to write
    /// them to tables. The log has the cause. Empty when all is well.
    troubles: Vec<String>,
}

/// How the database is. Looked at every two seconds at most, like `outbox`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageHealth {
    /// Weeks after this one whose partitions are there; 4 when all is well, and worth a look below 2. Absent with SQLite, which
    /// stores no weeks, and while the database does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    weeks_ahead: Option<u32>,
    /// Rows that lie in no week but in the default partition, counted up to 1000; 0 when all is well. Absent like `weeksAhead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_partition: Option<u32>,
    /// What keeps the database from taking messages and an operator has to put right, a sentence each. Empty when all is well.
    troubles: Vec<String>,
}

/// What this process has done since it started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsData {
    total_received: u64,
    total_sent: u64,
    total_failed: u64,
    total_retries: u64,
    #[serde(rename = "totalDLQ")]
    total_dlq: u64,
}

/// Is the process alive?
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Liveness, description = "It is")), security(()))]
pub async fn live() -> Json<Liveness> {
    Json(Liveness { status: "ok" })
}

/// Can it serve?
#[utoipa::path(get, path = "/health/ready", tag = "health",
    responses(
        (status = 200, body = Liveness, description = "It can"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ), security(()))]
pub async fn ready(State(state): State<SharedState>) -> Result<Json<Liveness>, Problem> {
    state.readiness.asked();
    if state.readiness.is_leaving() {
        return Err(Problem::stopping());
    }
    state.gateway.operations.report_health.ready().await.map_err(not_ready)?;
    Ok(Json(Liveness { status: "ok" }))
}

/// The caller is an operator's probe: what it can help with is in the answer.
fn not_ready(cause: NotReady) -> Problem {
    match &cause {
        NotReady::Repository(_) | NotReady::NoHeartbeat => Problem::unavailable(cause),
        NotReady::NotJoined(_) => Problem::unavailable(&cause).with_detail(cause.to_string()),
    }
}

/// How is it?
#[utoipa::path(get, path = "/health", tag = "health",
    responses(
        (status = 200, body = HealthData, description = "healthy; or degraded: Kafka is away, or some work does not go on, and what is accepted meanwhile is kept"),
        (status = 206, body = HealthData, description = "degraded: the database is away, and what is reported meanwhile is kept"),
        (status = 503, body = HealthData, description = "unhealthy"),
    ),
    security(()))]
pub async fn health(State(state): State<SharedState>) -> Response {
    let health = state.gateway.operations.report_health.health().await;
    let (status, word) = match health.condition {
        Condition::Healthy => (StatusCode::OK, "healthy"),
        Condition::Hindered => (StatusCode::OK, "degraded"),
        // Without Kafka everything is accepted as ever.
        Condition::Degraded if is_without_kafka_alone(health.services) => (StatusCode::OK, "degraded"),
        Condition::Degraded => (StatusCode::PARTIAL_CONTENT, "degraded"),
        Condition::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
    };
    let data = HealthData {
        status: word,
        timestamp: rfc3339(health.at),
        uptime: health.uptime.as_secs(),
        kafka: KafkaHealth {
            connected: health.broker.connected,
            brokers: health.broker.addresses,
            acks: "all",
            troubles: health.broker.troubles,
        },
        outbox: OutboxHealth { enabled: true, pending: health.open_messages },
        stuck: health.stuck,
        storage: StorageHealth {
            weeks_ahead: health.weeks.map(|weeks| weeks.ahead),
            default_partition: health.weeks.map(|weeks| weeks.strays),
            troubles: health.storage_troubles,
        },
        work: WorkHealth { troubles: health.hindrances },
        metrics: health.tally.into(),
        emergency_mode: health.is_emergency,
        services: ServicesData {
            kafka: service(health.services.kafka),
            database: service(health.services.database),
            filesystem: service(health.services.filesystem),
        },
        spool: health.spool.map(|spool| SpoolData {
            pending: spool.events,
            bytes: spool.bytes,
            max_bytes: spool.most_bytes,
            troubles: spool.troubles,
        }),
    };
    (status, Json(data)).into_response()
}

fn is_without_kafka_alone(services: Services) -> bool {
    let is_away = |condition| condition == ServiceCondition::Error;
    is_away(services.kafka) && !is_away(services.database) && !is_away(services.filesystem)
}

fn service(condition: ServiceCondition) -> &'static str {
    match condition {
        ServiceCondition::Ok => "ok",
        ServiceCondition::Error => "error",
        ServiceCondition::Disabled => "disabled",
        ServiceCondition::DisabledInEmergency => "disabled-emergency",
    }
}

impl From<TallySnapshot> for MetricsData {
    fn from(tally: TallySnapshot) -> Self {
        Self {
            total_received: tally.received,
            total_sent: tally.sent,
            total_failed: tally.failed,
            total_retries: tally.retries,
            total_dlq: tally.dead_letters,
        }
    }
}
