//! What the channels that speak HTTP share: reading answers that may be anything.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::redaction::Redaction;
use crate::domain::Timestamp;
use crate::domain::message::delivery::DeliveryError;
use crate::domain::message::retry::LONGEST_RETRY_AFTER;
use crate::infrastructure::http_client::{
    AddressBlocked, CallError, causes, own_trouble, untimely_certificate, wants_client_certificate,
};

/// An answer whose status arrived; its body may have been lost on the way.
pub struct HttpAnswer {
    pub status: StatusCode,
    /// How long to wait before the next try, if it says so; at most [`LONGEST_RETRY_AFTER`].
    retry_after: Option<Duration>,
    /// At most the limit it was read with.
    pub body: Vec<u8>,
    /// Whether `body` is all there was.
    pub complete: bool,
}

impl HttpAnswer {
    /// Reads no more than `limit` bytes. How long it takes is bounded by the request's timeout.
    pub async fn read(mut response: Response, limit: usize, now: Timestamp) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers(), now);
        let mut body = Vec::new();
        let complete = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = limit.saturating_sub(body.len());
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                    if chunk.len() > room {
                        break false;
                    }
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Self { status, retry_after, body, complete }
    }

    /// For tests of what is made of answers.
    #[cfg(test)]
    pub fn whole(status: StatusCode, body: &[u8], complete: bool) -> Self {
        Self { status, retry_after: None, body: body.to_vec(), complete }
    }

    /// The error that this answer means, with what the answer says beside its body: its status, and when to come back. Every
    /// channel's errors go through here.
    pub fn stands_for(&self, error: DeliveryError) -> DeliveryError {
        error.with_http_status(self.status.as_u16()).with_retry_after(self.retry_after)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A 4xx that says "not now" rather than "not this".
pub fn may_work_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429) || !status.is_client_error()
}

/// What stands before a server says that it got no answer from it, or lost it: the server may have taken the request. 520 to
/// 524 are Cloudflare's; that two of them (521, 523) say that nothing was sent is not relied on.
pub fn may_have_been_taken(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502 | 504 | 520..=524)
}

/// Seconds, or a date (RFC 9110), and at most [`LONGEST_RETRY_AFTER`]; anything else is as if it were absent. A date that has
/// passed is no wait.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = asked.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    // By the clock that the date was read from, if the answer says what it shows: it need not show what ours does.
    let its_now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let wait = until.duration_since(its_now.unwrap_or_else(|| SystemTime::from(now))).unwrap_or_default();
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// No status arrived. Whether the request did decides what that means.
///
/// `peer` is part of the sentence: `the webhook`.
pub fn without_answer(peer: &str, error: CallError, redaction: &Redaction) -> DeliveryError {
    let blocked = |blocked: AddressBlocked| {
        let reason = format!("Refused to call {peer}: {blocked}.");
        if blocked.for_good {
            DeliveryError::misconfigured(reason)
        } else {
            DeliveryError::not_now(reason, Duration::MAX)
        }
    };
    let error = match error {
        CallError::Blocked(error) => return blocked(error),
        CallError::Proxy(trouble) => return uncalled(peer, &trouble),
        // Its text would hold the whole URL.
        CallError::Http(error) => error.without_url(),
    };
    if let Some(error) = causes(&error).find_map(|cause| cause.downcast_ref::<AddressBlocked>()) {
        return blocked(*error);
    }
    if let Some(trouble) = own_trouble(&error) {
        return uncalled(peer, &trouble);
    }
    if wants_client_certificate(&error) {
        let reason = format!("Could not call {peer}: it wants a client certificate, which cannot be configured.");
        return DeliveryError::misconfigured(reason);
    }
    if let Some(untimely) = untimely_certificate(&error) {
        return DeliveryError::transient(format!("Could not call {peer}: {untimely}."));
    }
    let cause = causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string);
    let cause = redaction.snippet(&cause);
    if error.is_builder() {
        DeliveryError::misconfigured(format!("No request to {peer} could be made: {cause}"))
    } else if error.is_connect() || error.is_dns() {
        DeliveryError::transient(format!("Could not reach {peer}: {cause}"))
    } else if error.is_timeout() {
        DeliveryError::unknown(format!("No answer from {peer} in time"))
    } else {
        DeliveryError::unknown(format!("The connection to {peer} was lost before it answered: {cause}"))
    }
}

/// Nothing reached it, through no fault of its own.
fn uncalled(peer: &str, trouble: &dyn Display) -> DeliveryError {
    DeliveryError::not_now(format!("Could not call {peer}: {trouble}."), Duration::MAX)
}
