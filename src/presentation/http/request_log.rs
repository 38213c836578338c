//! One log line a request, with an id that is also in the answer.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, info, info_span};
use uuid::Uuid;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, unless it has a sane one, and logs how it was answered. Paths are logged as their route's
/// pattern and queries not at all: they may hold what is confidential.
pub async fn log(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = kept_id(request.headers()).unwrap_or_else(new_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = info_span!("request", request_id = id.to_str().unwrap_or_default(), tenant = tracing::field::Empty,);
    let answered = async {
        let response = next.run(request).await;
        let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(%method, route, status = response.status().as_u16(), duration_ms, "request");
        response
    };
    let mut response = answered.instrument(span).await;
    response.headers_mut().insert(X_REQUEST_ID.clone(), id);
    response
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
