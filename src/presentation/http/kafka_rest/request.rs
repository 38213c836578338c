//! What a handler of the REST Proxy takes of a request.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{ACCEPT, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RestError;
use crate::application::kafka_rest::KafkaRest;
use crate::domain::access::principal::{Principal, Scope};
use crate::presentation::http::topics::caller::TopicCaller;
use crate::presentation::http::wire::body;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::{AppState, SharedState};

/// The authenticated caller.
pub struct RestCaller(Principal);

/// The caller of what is open where topics are: publishing by `POST /topics/{topic}`, and their names. One without credentials is
/// let in there.
pub struct OpenCaller(pub RestCaller);

impl OpenCaller {
    pub fn of(caller: Result<TopicCaller, Problem>) -> Result<Self, RestError> {
        let TopicCaller(caller) = caller?;
        Ok(Self(RestCaller(caller.0)))
    }
}

impl RestCaller {
    /// # Errors
    /// 403 when the caller has none of these; the first is named.
    pub fn must(&self, scopes: &[Scope]) -> Result<&Principal, RestError> {
        match scopes.iter().any(|scope| self.0.may(*scope)) {
            true => Ok(&self.0),
            false => Err(Problem::forbidden(scopes.first().copied().unwrap_or(Scope::Admin)).into()),
        }
    }
}

/// Reading topics, brokers and settings.
pub const TO_READ: &[Scope] = &[Scope::TopicsRead, Scope::Admin];

/// Publishing.
pub const TO_WRITE: &[Scope] = &[Scope::TopicsWrite];

/// Changing topics, and everything about groups.
pub const TO_ADMINISTER: &[Scope] = &[Scope::Admin];

impl FromRequestParts<SharedState> for RestCaller {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, RestError> {
        Ok(Self(Caller::from_request_parts(parts, state).await?.0))
    }
}

impl FromRequestParts<SharedState> for OpenCaller {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, RestError> {
        Self::of(TopicCaller::from_request_parts(parts, state).await)
    }
}

/// What a path names.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RestError> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|_| RestError::not_found("HTTP 404 Not Found"))
    }
}

/// A JSON body; null where there is none.
pub struct RestBody(pub Value);

impl FromRequest<SharedState> for RestBody {
    type Rejection = RestError;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, RestError> {
        let RestBytes(bytes) = RestBytes::from_request(request, state).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Value::Null));
        }
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|error| RestError::new(400, format!("Bad Request: the body is not JSON: {error}.")))
    }
}

/// The bytes of a JSON body; none where there is none.
pub struct RestBytes(pub Bytes);

impl FromRequest<SharedState> for RestBytes {
    type Rejection = RestError;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, RestError> {
        let (head, body) = request.into_parts();
        let bytes = body::uncompressed(&head.headers, body, &state.topics.bodies).await?;
        let bytes = bytes.slice_ref(body::without_mark(&bytes)?);
        let is_blank = bytes.iter().all(u8::is_ascii_whitespace);
        if is_blank || body::is_json(&head.headers) {
            Ok(Self(bytes))
        } else {
            Err(RestError::unsupported_media_type())
        }
    }
}

impl RestBody {
    /// # Errors
    /// 422, naming the member.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, RestError> {
        serde_json::from_value(self.0).map_err(|error| RestError::invalid(error.to_string()))
    }
}

/// # Errors
/// 503 when no brokers are configured.
pub fn kafka(state: &AppState) -> Result<&KafkaRest, RestError> {
    state.gateway.kafka_rest.as_ref().ok_or_else(RestError::no_kafka)
}

/// A parameter of the query.
pub fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    parameters.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Where the client reaches this process, as it says itself.
pub fn own_address(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    format!("{scheme}://{}", text(HOST.as_str()).unwrap_or("localhost"))
}

/// A segment of a URL's path.
pub fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// What the client takes, in lower case.
pub fn accepted(headers: &HeaderMap) -> String {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",").to_ascii_lowercase()
}
