//! One log line a request, with an id that is also in the answer.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, info, info_span};
use uuid::Uuid;

use super::wire::held::Unwritten;
use super::wire::problem::Problem;
use super::wire::readiness::Readiness;
use super::wire::serving::InFlight;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whether the process lives, and can do its work, is answered however much there is to do: a process that is taken for dead,
/// or is sent no more requests, leaves its load to the others.
const IS_ALWAYS_ANSWERED: [&str; 2] = ["/health/live", "/health/ready"];

/// What is served without a database, and below it.
const IS_SERVED_EARLY: [&str; 4] = ["/webhook", "/health", "/stats", "/metrics"];

fn is_served_early(path: &str) -> bool {
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    IS_SERVED_EARLY.iter().any(|served| path.strip_prefix(served).is_some_and(is_below))
}

/// What every request has to do with.
#[derive(Clone)]
pub(super) struct Process {
    pub in_flight: InFlight,
    pub readiness: Readiness,
}

/// Gives the request an id, unless it has a sane one, and logs how it was answered, unless too many are in work already. Paths are logged as their route's
/// pattern and queries not at all: they may hold what is confidential.
pub(super) async fn log(State(process): State<Process>, request: Request, next: Next) -> Response {
    let id = kept_id(request.headers()).unwrap_or_else(new_id);
    let mut response = if process.readiness.is_early() && !is_served_early(request.uri().path()) {
        Problem::unavailable("the database is away since the start").into_response()
    } else if IS_ALWAYS_ANSWERED.contains(&request.uri().path()) {
        logged(request, next, &id).await
    } else {
        match process.in_flight.run(logged(request, next, &id)).await {
            Some((response, place)) => response.map(|body| Body::new(Unwritten::new(body, place))),
            None => Problem::too_many_in_flight().into_response(),
        }
    };
    response.headers_mut().insert(X_REQUEST_ID.clone(), id);
    // A process that is about to stop wants no request to meet the end of its connection.
    if process.readiness.is_leaving() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn logged(request: Request, next: Next, id: &HeaderValue) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = info_span!("request", request_id = id.to_str().unwrap_or_default(), tenant = tracing::field::Empty,);
    let answered = async {
        let response = next.run(request).await;
        let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(%method, route, status = response.status().as_u16(), duration_ms, "request");
        response
    };
    answered.instrument(span).await
}

/// A client's own id, if it is one that can be logged as it stands: 1 to 128 visible ASCII characters.
pub(super) fn kept_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(&X_REQUEST_ID)?;
    let sane = (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| id.clone())
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}
