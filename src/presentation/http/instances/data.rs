//! An instance as it is shown.

use crate::domain::instance::{Instance, InstanceId};
use crate::domain::receipt::StuckOfInstance;
use crate::presentation::http::wire::envelope::{raw_json, rfc3339};
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::path_id;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use deserr::Deserr;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// So many instances can be listed in one answer that none should be large.
const LARGEST: usize = 16 * 1024;

/// A JSON object, as compact text.
#[derive(Debug, Deserr)]
#[deserr(error = Problems, try_from(Value) = JsonObject::parse -> fields::Detail)]
pub struct JsonObject(pub String);

impl JsonObject {
    fn parse(value: Value) -> Result<Self, fields::Detail> {
        if !value.is_object() {
            return Err("must be an object".into());
        }
        let text = value.to_string();
        if text.len() > LARGEST { Err("must have at most 16384 bytes (16 KiB)".into()) } else { Ok(Self(text)) }
    }
}

/// A configured channel, without its credentials.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceData {
    pub id: String,
    pub user_id: String,
    pub name: Option<String>,
    pub channel: String,
    pub channel_instance_id: String,
    pub channel_phone_or_id: String,
    /// `connected`, `disconnected`, `connecting`, `error` or `pending`.
    pub status: &'static str,
    pub max_retries: Option<u32>,
    /// Whether a message is tried again when it may have been delivered; null: as its channel does.
    pub retry_unknown: Option<bool>,
    /// Messages that have been `sent` for longer than `STUCK_AFTER` without a receipt; 0 where the channel gives none, null while it
    /// is not known. Counted up to 100000.
    pub stuck: Option<u64>,
    /// `none since` and a time: since then it has taken messages, and no receipt of any has come. Absent while receipts come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub receipts: Option<String>,
    /// Calls a minute over all processes; null: as many as there are messages.
    pub rate_limit_per_minute: Option<u32>,
    /// Calls at once after a pause, where it has a rate; null: one.
    pub burst: Option<u32>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Box<RawValue>>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
}

/// A channel that was just configured.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfiguredData {
    pub instance_id: String,
    /// A sentence for people.
    pub message: String,
    /// What is to be scanned to connect it: a whole `data:image/png;base64,…`. It lives for less than a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub qr_code: Option<String>,
    /// Credentials that were generated: shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, required = false)]
    pub credentials: Option<Value>,
    #[serde(flatten)]
    pub instance: InstanceData,
}

impl InstanceData {
    /// With what is stuck of it, if that is known.
    pub fn of(instance: Instance, stuck: Option<StuckOfInstance>) -> Self {
        Self {
            id: instance.id.to_string(),
            user_id: instance.user_id,
            name: instance.name,
            channel: instance.channel.to_string(),
            channel_instance_id: instance.channel_instance_id,
            channel_phone_or_id: instance.channel_phone_or_id,
            status: instance.status.as_str(),
            max_retries: instance.max_tries,
            retry_unknown: instance.retry_unknown,
            stuck: stuck.map(|stuck| stuck.count),
            receipts: stuck.and_then(|stuck| stuck.none_since).map(|since| format!("none since {}", rfc3339(since))),
            rate_limit_per_minute: instance.rate_limit_per_minute,
            burst: instance.burst,
            metadata: raw_json(instance.metadata),
            created_at: rfc3339(instance.created_at),
            updated_at: rfc3339(instance.updated_at),
        }
    }
}

pub fn instance_id(id: Result<Path<String>, PathRejection>) -> Result<InstanceId, Problem> {
    path_id(id).map(InstanceId).ok_or_else(Problem::unknown_instance)
}
