//! The shape that every answer has.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::Timestamp;

/// A success.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// Always true.
    pub success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    pub data: T,
}

impl<T: Serialize> Envelope<T> {
    pub fn of(data: T) -> Self {
        Self { success: true, message: None, data }
    }

    pub fn saying(message: &'static str, data: T) -> Self {
        Self { success: true, message: Some(message), data }
    }

    pub fn with_status(self, status: StatusCode) -> Response {
        (status, Json(self)).into_response()
    }
}

/// RFC 3339, UTC, milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Stored JSON text, as a member of an answer.
pub fn raw_json(text: Option<String>) -> Option<Box<RawValue>> {
    text.and_then(|text| RawValue::from_string(text).ok())
}
