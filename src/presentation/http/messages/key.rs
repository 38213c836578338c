//! The header `Idempotency-Key`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::domain::access::idempotency::IdempotencyKey;
use crate::presentation::http::wire::problem::Problem;

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// In an answer that repeats an earlier one.
static IDEMPOTENT_REPLAY: HeaderName = HeaderName::from_static("idempotent-replay");

/// The answer to a request whose key an earlier one had.
pub(in crate::presentation::http) fn said_to_be_repeated(mut response: Response, repeated: bool) -> Response {
    if repeated {
        response.headers_mut().insert(IDEMPOTENT_REPLAY.clone(), HeaderValue::from_static("true"));
    }
    response
}

/// # Errors
/// When it is malformed, or given twice.
pub(in crate::presentation::http) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = headers.get_all(&IDEMPOTENCY_KEY).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => IdempotencyKey::parse(key.as_bytes()).map(Some).ok_or_else(Problem::malformed_key),
        (Some(_), Some(_)) => Err(Problem::malformed_key()),
    }
}
