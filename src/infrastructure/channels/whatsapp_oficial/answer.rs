//! What an answer of Meta's means.

use std::time::Duration;

use serde_json::Value;

use super::meta_error::MetaError;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::text::storable;
use crate::infrastructure::channels::http::http_answer::{HttpAnswer, may_work_later};
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::channels::http::report_members::LONGEST_ID;
use crate::infrastructure::channels::whatsapp_errors::{Consequence, consequence};

/// What errors call the other side.
pub const PEER: &str = "Meta";

/// One probe so often: what puts an instance off needs a person.
const BETWEEN_PROBES: Duration = Duration::from_secs(300);

/// About as often a number may write to one recipient.
const BETWEEN_TO_ONE: Duration = Duration::from_secs(6);

/// What the answer to a message means: its id, else its error's code; its status only where it has neither.
///
/// # Errors
/// When it says anything but that the message was taken.
pub fn judge(answer: &HttpAnswer, redaction: &Redaction) -> Result<Acceptance, DeliveryError> {
    let status = answer.status.as_u16();
    // One odd byte, or a mark of the byte order, must not hide that it was taken.
    let text = answer.text();
    let body: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
    if let Some(id) = message_id(&body).filter(|_| answer.status.is_success()) {
        return Ok(Acceptance { channel_message_id: Some(id), http_status: Some(status) });
    }
    if !answer.complete {
        // What is missing might have said that it was taken.
        return Err(DeliveryError::unknown(format!("HTTP {status} from {PEER}, whose answer was cut off")));
    }
    Err(match body.get("error").and_then(MetaError::read) {
        Some(error) => said(&error, answer, redaction),
        None => unsaid(answer, redaction),
    })
}

fn said(error: &MetaError, answer: &HttpAnswer, redaction: &Redaction) -> DeliveryError {
    let reason = error.sentence(redaction);
    match consequence_here(error.code) {
        Some(Consequence::Refuse) => DeliveryError::refused(reason),
        Some(Consequence::PutInstanceOff) => DeliveryError::instance_off(reason, BETWEEN_PROBES),
        Some(Consequence::SlowDown(pause)) => DeliveryError::instance_off(reason, pause),
        Some(Consequence::SpareRecipient) => DeliveryError::transient(reason).with_retry_after(Some(BETWEEN_TO_ONE)),
        // It may have come to pass after the message was taken.
        Some(Consequence::TryLater) | None if answer.status.is_server_error() => DeliveryError::unknown(reason),
        Some(Consequence::TryLater) => DeliveryError::transient(reason),
        None if answer.status.is_success() => DeliveryError::unknown(reason),
        None if may_work_later(answer.status) => DeliveryError::transient(reason),
        None => DeliveryError::refused(reason),
    }
}

/// Where it differs from what follows when Evolution API passes it on.
fn consequence_here(code: i64) -> Option<Consequence> {
    match code {
        // The list of a test number is a matter of its configuration.
        131_030 => Some(Consequence::PutInstanceOff),
        code => consequence(code),
    }
}

/// An answer without an error of Meta's form, which something before Meta gives, or another server.
fn unsaid(answer: &HttpAnswer, redaction: &Redaction) -> DeliveryError {
    let status = answer.status.as_u16();
    let reason = match redaction.snippet(&answer.text()) {
        said if said.is_empty() => format!("HTTP {status} from {PEER}"),
        said => format!("HTTP {status} from {PEER}: {said}"),
    };
    match status {
        // It was taken, by what does not say as what; or perhaps it was.
        200..300 | 500.. => DeliveryError::unknown(reason),
        _ if answer.status.is_client_error() && may_work_later(answer.status) => DeliveryError::transient(reason),
        // The access token is not sent to just any server.
        _ => DeliveryError::misconfigured(reason),
    }
}

fn message_id(body: &Value) -> Option<String> {
    let id = storable(body.pointer("/messages/0/id")?.as_str()?, LONGEST_ID);
    (!id.trim().is_empty()).then_some(id)
}
