//! Reading a request's body.

mod coding;
mod content_type;
mod half_pair;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;
use serde_json::Value;

use super::problem::Problem;
use super::state::SharedState;
use coding::{codings, decoded};
use content_type::{must_be_utf8, text};

pub(in crate::presentation::http) use content_type::is_json;

/// A body over the limit is read on up to here, so that its sender gets to read the answer.
const MOST_READ_ON: usize = 16 * 1024 * 1024;

/// How long a body may stop arriving.
const PATIENCE: Duration = Duration::from_secs(30);

/// A JSON body, with the bytes that it was before it was compressed, if it was.
pub struct JsonBody {
    pub value: Value,
    pub bytes: Bytes,
}

impl FromRequest<SharedState> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let (codings, charset) = (codings(request.headers()), must_be_utf8(request.headers()));
        if waits_with_too_much(request.headers(), state.max_body_bytes) {
            return Err(Problem::body_too_large(state.max_body_bytes));
        }
        let bytes = read(request.into_body(), state.max_body_bytes).await?;
        if !is_json {
            return Err(Problem::unsupported_media_type());
        }
        charset?;
        let bytes = decoded(bytes, &codings?, state.max_body_bytes).await?;
        let bytes = bytes.slice_ref(text(&bytes)?);
        // serde_json refuses what is nested deeper than 127 levels.
        let value = serde_json::from_slice(&bytes).map_err(|error| malformed(&bytes, &error))?;
        Ok(Self { value, bytes })
    }
}

fn malformed(bytes: &[u8], error: &serde_json::Error) -> Problem {
    match half_pair::members(bytes) {
        Some(problems) => Problem::invalid_field(problems),
        None => Problem::malformed_json(format!("The body is not well-formed JSON: {error}.")),
    }
}

/// Whether the sender waits for a word before it sends the body, and would send more than is taken.
fn waits_with_too_much(headers: &HeaderMap, limit: usize) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    text(EXPECT).is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue"))
        && length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
}

async fn read(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut kept = Vec::new();
    let mut seen = 0usize;
    loop {
        let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Err(_) => return Err(Problem::malformed_json("The body stopped arriving.")),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Problem::malformed_json("The body broke off.")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else if seen > MOST_READ_ON.max(limit) {
            break;
        } else {
            kept = Vec::new();
        }
    }
    if seen > limit { Err(Problem::body_too_large(limit)) } else { Ok(kept.into()) }
}
