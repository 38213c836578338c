//! Reading a request's body.

mod beyond;
mod charset;
mod coding;
mod content_type;
mod half_pair;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use tokio::time::{Instant, timeout_at};

use super::held::{ByteRoom, HeldBytes};
use super::problem::Problem;
use super::serving::{hold_body, wait_for_client};
use coding::{codings, decoded};
use content_type::{must_be_utf8, text};

pub(in crate::presentation::http) use content_type::{charset_of, is_csv, is_json, text as without_mark};

/// A body over the limit is read on up to here, so that its sender gets to read the answer.
const MOST_READ_ON: usize = 16 * 1024 * 1024;

/// How long a body may stop arriving, and how long it may take however little it is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A longer one may take a second more for each of so many bytes that have arrived.
const SLOWEST: usize = 64 * 1024;

/// What the bodies of all requests that are being handled may come to.
const ALL_BYTES: usize = 256 * 1024 * 1024;

/// How much of bodies is taken.
#[derive(Clone)]
pub struct BodyLimits {
    /// Of one body, as it is after it was decompressed.
    pub most: usize,
    /// Of one that holds a list of recipients.
    pub large: usize,
    /// For the bodies of all requests, from when their bytes arrive until the work for the request has ended.
    pub room: ByteRoom,
    pub patience: Duration,
}

impl BodyLimits {
    /// However large it is, one body finds room.
    pub fn new(most: usize, large: usize) -> Self {
        // Twice: a buffer that grows is larger than what it holds.
        let large = most.max(large);
        Self { most, large, room: ByteRoom::new(ALL_BYTES.max(2 * large)), patience: PATIENCE }
    }

    /// The same, for what is to be seen whole although it is over the limit, up to another.
    pub fn at_least(&self, most: usize) -> Self {
        Self { most: self.most.max(most), ..self.clone() }
    }
}

/// A body that may hold a list of recipients: JSON, or CSV.
pub struct LargeBody {
    pub content_type: String,
    pub bytes: Bytes,
}

impl LargeBody {
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> Result<Value, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| malformed(&self.bytes, &error))
    }
}

impl<S: Send + Sync> FromRequest<S> for LargeBody
where
    BodyLimits: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limits = BodyLimits::from_ref(state);
        let limits = BodyLimits { most: limits.large, ..limits };
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let is_known = is_json(request.headers()) || is_csv(&content_type);
        let (codings, charset) = (codings(request.headers()), must_be_utf8(request.headers()));
        if waits_with_too_much(request.headers(), limits.most) {
            return Err(Problem::body_too_large(limits.most));
        }
        let mut held = limits.room.nothing();
        let arrived = wait_for_client(read(request.into_body(), &limits, &mut held)).await;
        let bytes = arrived.ok_or_else(Problem::too_many_in_flight)??;
        if !is_known {
            return Err(Problem::unsupported_media_type());
        }
        charset?;
        let bytes = decoded(bytes, &codings?, limits.most, &mut held).await?;
        let bytes = bytes.slice_ref(text(&bytes)?);
        hold_body(held);
        Ok(Self { content_type, bytes })
    }
}

/// A JSON body, with the bytes that it was before it was compressed, if it was.
pub struct JsonBody {
    pub value: Value,
    pub bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody
where
    BodyLimits: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limits = BodyLimits::from_ref(state);
        let is_json = is_json(request.headers());
        let (codings, charset) = (codings(request.headers()), must_be_utf8(request.headers()));
        if waits_with_too_much(request.headers(), limits.most) {
            return Err(Problem::body_too_large(limits.most));
        }
        let mut held = limits.room.nothing();
        let arrived = wait_for_client(read(request.into_body(), &limits, &mut held)).await;
        let bytes = arrived.ok_or_else(Problem::too_many_in_flight)??;
        if !is_json {
            return Err(Problem::unsupported_media_type());
        }
        charset?;
        let bytes = decoded(bytes, &codings?, limits.most, &mut held).await?;
        let bytes = bytes.slice_ref(text(&bytes)?);
        hold_body(held);
        // serde_json refuses what is nested deeper than 127 levels.
        let value = serde_json::from_slice(&bytes).map_err(|error| malformed(&bytes, &error))?;
        Ok(Self { value, bytes })
    }
}

fn malformed(bytes: &[u8], error: &serde_json::Error) -> Problem {
    match half_pair::members(bytes).or_else(|| beyond::member(bytes).map(|problem| vec![problem])) {
        Some(problems) => Problem::invalid_field(problems),
        // The library has no kind for it.
        None if error.to_string().starts_with("recursion limit exceeded") => {
            Problem::malformed_json("The body is nested deeper than 127 levels.")
        }
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

/// Whether a body is compressed, in whatever way.
pub(in crate::presentation::http) fn is_compressed(headers: &HeaderMap) -> bool {
    !codings(headers).is_ok_and(|codings| codings.is_empty())
}

/// A body whatever it is, as it was before it was compressed.
pub(in crate::presentation::http) async fn uncompressed(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
) -> Result<Bytes, Problem> {
    Ok(with_what_was_sent(headers, body, limits).await?.1)
}

/// A body as it was sent, which may be what is signed, and as it was before it was compressed.
pub(in crate::presentation::http) async fn with_what_was_sent(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
) -> Result<(Bytes, Bytes), Problem> {
    if waits_with_too_much(headers, limits.most) {
        return Err(Problem::body_too_large(limits.most));
    }
    let mut held = limits.room.nothing();
    let arrived = wait_for_client(read(body, limits, &mut held)).await;
    let sent = arrived.ok_or_else(Problem::too_many_in_flight)??;
    let bytes = decoded(sent.clone(), &codings(headers)?, limits.most, &mut held).await?;
    hold_body(held);
    Ok((sent, bytes))
}

/// The JSON of a body, whatever its `Content-Type` says.
///
/// # Errors
/// When it is not JSON, or too large.
pub(in crate::presentation::http) async fn json(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
) -> Result<Value, Problem> {
    let bytes = uncompressed(headers, body, limits).await?;
    let bytes = text(&bytes)?;
    serde_json::from_slice(bytes).map_err(|error| malformed(bytes, &error))
}

/// A text of whom nothing is refused but what is too large: what is not compressed as it is said to be, or in another way than is
/// understood, is taken as it came.
pub(in crate::presentation::http) async fn as_meant(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
) -> Result<Bytes, Problem> {
    if waits_with_too_much(headers, limits.most) {
        return Err(Problem::body_too_large(limits.most));
    }
    let mut held = limits.room.nothing();
    let arrived = wait_for_client(read(body, limits, &mut held)).await;
    let bytes = arrived.ok_or_else(Problem::too_many_in_flight)??;
    let codings = codings(headers).unwrap_or_default();
    let bytes = match decoded(bytes.clone(), &codings, limits.most, &mut held).await {
        Err(problem) if problem.status() == StatusCode::BAD_REQUEST => bytes,
        decoded => decoded?,
    };
    hold_body(held);
    Ok(charset::in_utf8(headers, bytes))
}

/// What is over a limit is read on and not kept, so that its sender gets to read the answer.
async fn read(mut body: Body, limits: &BodyLimits, held: &mut HeldBytes) -> Result<Bytes, Problem> {
    let &BodyLimits { most, patience, .. } = limits;
    let (mut kept, mut seen, mut has_room) = (Vec::new(), 0usize, true);
    let begin = Instant::now();
    loop {
        let enough = patience + Duration::from_secs((seen / SLOWEST) as u64);
        let frame = match timeout_at((begin + enough).min(Instant::now() + patience), body.frame()).await {
            Err(_) => return Err(Problem::malformed_json("The body stopped arriving, or arrived too slowly.")),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Problem::malformed_json("The body broke off.")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > MOST_READ_ON.max(most) {
            break;
        }
        if has_room && seen <= most {
            kept.extend_from_slice(&data);
            has_room = held.resize(kept.capacity());
        }
        if !has_room || seen > most {
            kept = Vec::new();
            held.resize(0);
        }
    }
    if seen > most {
        Err(Problem::body_too_large(most))
    } else if !has_room {
        Err(Problem::too_many_bodies())
    } else {
        Ok(kept.into())
    }
}
