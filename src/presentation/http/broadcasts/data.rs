//! A broadcast as it is shown.

use crate::domain::Timestamp;
use crate::domain::broadcast::BroadcastId;
use crate::domain::broadcast::counts::BroadcastStanding;
use crate::domain::message::MessageStatus;
use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::state::path_id;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use serde::Serialize;
use utoipa::ToSchema;

/// One content for many recipients, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BroadcastData {
    id: String,
    channel: String,
    channel_instance_id: String,
    group_id: Option<String>,
    /// `scheduled`, `expanding` (its messages are being made), `expanded` (all are made), `paused`, `cancelled` or `finished`.
    status: &'static str,
    /// Recipients, each once.
    total: u32,
    counts: CountsData,
    /// Messages that come due a minute, as it was given.
    rate_per_minute: Option<u32>,
    priority: Option<i32>,
    #[schema(format = "date-time")]
    send_at: Option<String>,
    /// By how fast it went until now, and no sooner than its rate allows; null while neither says anything.
    #[schema(format = "date-time")]
    expected_end_at: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
    #[schema(format = "date-time")]
    finished_at: Option<String>,
}

/// How many messages are in which state.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsData {
    queued: u64,
    processing: u64,
    sent: u64,
    delivered: u64,
    read: u64,
    failed: u64,
    cancelled: u64,
    /// Recipients without a message yet.
    waiting: u64,
}

impl BroadcastData {
    pub fn of(standing: BroadcastStanding, now: Timestamp) -> Self {
        let of = |status| standing.counts.of(status);
        let counts = CountsData {
            queued: of(MessageStatus::Queued) + of(MessageStatus::Pending),
            processing: of(MessageStatus::Processing),
            sent: of(MessageStatus::Sent),
            delivered: of(MessageStatus::Delivered),
            read: of(MessageStatus::Read),
            failed: of(MessageStatus::Failed),
            cancelled: standing.cancelled(),
            waiting: standing.waiting(),
        };
        let expected_end_at = standing.expected_end(now).map(rfc3339);
        let broadcast = standing.broadcast;
        Self {
            id: broadcast.id.to_string(),
            channel: broadcast.channel.to_string(),
            channel_instance_id: broadcast.channel_instance_id,
            group_id: broadcast.group.map(|group| group.to_string()),
            status: broadcast.status.as_str(),
            total: broadcast.total,
            counts,
            rate_per_minute: broadcast.rate_per_minute,
            priority: broadcast.priority.map(|priority| priority.number().into()),
            send_at: broadcast.send_at.map(rfc3339),
            expected_end_at,
            created_at: rfc3339(broadcast.created_at),
            updated_at: rfc3339(broadcast.updated_at),
            finished_at: broadcast.finished_at.map(rfc3339),
        }
    }
}

pub fn broadcast_id(id: Result<Path<String>, PathRejection>) -> Option<BroadcastId> {
    path_id(id).map(BroadcastId)
}
