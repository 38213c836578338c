//! What the channels that speak HTTP share: their client, and reading answers that may be anything.

use std::error::Error;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode};

use super::public_address::AddressBlocked;
use super::redaction::Redaction;
use super::tls;
use crate::domain::Timestamp;
use crate::domain::message::delivery::DeliveryError;

pub const USER_AGENT: &str = concat!("Correio/", env!("CARGO_PKG_VERSION"));

/// Less than the 5 seconds after which many servers close an idle connection: a request that meets the closing is
/// lost without our knowing whether it was taken.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(4);

/// The HTTP client could not be built, e.g. because the machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client of the channels: {}", cause(.0))]
pub struct ChannelSetupError(#[from] reqwest::Error);

/// What is at the bottom of it: an error of reqwest says only that building failed.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Every request needs its own total timeout besides: this one only bounds connecting.
pub fn client_builder(connect_timeout: Duration) -> ClientBuilder {
    tls::install();
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
}

/// An answer whose status arrived; its body may have been lost on the way.
pub struct HttpAnswer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
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

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A 4xx that says "not now" rather than "not this".
pub fn may_work_later(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429) || !status.is_client_error()
}

/// Seconds, or a date (RFC 9110); anything else is as if it were absent.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::from(now)).unwrap_or_default())
}

/// No status arrived. Whether the request did decides what that means.
///
/// `peer` is part of the sentence: `the webhook`.
pub fn without_answer(peer: &str, error: reqwest::Error, redaction: &Redaction) -> DeliveryError {
    // Its text would hold the whole URL.
    let error = error.without_url();
    let causes = || std::iter::successors(error.source(), |&cause| cause.source());
    if causes().any(|cause| cause.is::<AddressBlocked>()) {
        return DeliveryError::misconfigured(format!("Refused to call {peer}: {AddressBlocked}"));
    }
    let cause = causes().last().map_or_else(|| error.to_string(), ToString::to_string);
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
