//! Reading a request's body.

mod coding;
mod half_pair;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::Value;

use super::problem::Problem;
use super::state::SharedState;
use coding::{codings, decoded};

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
        let codings = codings(request.headers());
        let bytes = read(request.into_body(), state.max_body_bytes).await?;
        if !is_json {
            return Err(Problem::unsupported_media_type());
        }
        let bytes = decoded(bytes, &codings?, state.max_body_bytes).await?;
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

pub(in crate::presentation::http) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.and_then(|text| text.parse::<mime::Mime>().ok()).is_some_and(|mime| {
        mime.type_() == mime::APPLICATION && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
    })
}

/// All of it, if it is not over the limit.
pub(in crate::presentation::http) async fn read(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
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
