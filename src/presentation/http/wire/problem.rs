//! Errors as HTTP answers: RFC 9457 with the members that existing clients read.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::ToSchema;

use crate::application::messages::turn::Busy;
use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::access::principal::Scope;
use crate::domain::problem::FieldProblem;

/// How long a client shall wait before it comes back, in seconds.
const RETRY_AFTER: &str = "2";

/// One title for one type (RFC 9457): the detail says whether it is the format or the compression.
const UNSUPPORTED_MEDIA_TYPE: &str = "The format of the body is not supported";

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem(Box<Content>);

#[derive(Debug)]
struct Content {
    body: ProblemBody,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An error answer, `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:correio:problem:<name>`; stable.
    #[serde(rename = "type")]
    #[schema(example = "urn:correio:problem:invalid-field")]
    pub problem_type: String,
    pub title: &'static str,
    pub status: u16,
    /// As `status`, for clients of other systems.
    #[serde(rename = "statusCode")]
    pub status_code: u16,
    pub detail: String,
    /// Always false.
    pub success: bool,
    /// One sentence.
    pub error: String,
    /// As `error`, for clients of other systems.
    pub message: String,
    /// Of `invalid-field`: everything that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// Of groups that were not synced: what the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub details: Option<String>,
    /// Of `recipient-refused` and `channel-failed`: the message that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Of a record for a topic that failed: its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Of `too-many-open`: how many messages of the tenant are open, and how many may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub open: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub limit: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901) into the body, or `/<name>` of a query parameter.
    pub path: String,
    pub detail: String,
}

impl Problem {
    fn new(status: StatusCode, name: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let body = ProblemBody {
            problem_type: format!("urn:correio:problem:{name}"),
            title,
            status: status.as_u16(),
            status_code: status.as_u16(),
            error: detail.clone(),
            message: detail.clone(),
            detail,
            success: false,
            errors: Vec::new(),
            details: None,
            data: None,
            message_id: None,
            open: None,
            limit: None,
        };
        Self(Box::new(Content { body, headers: Vec::new() }))
    }

    /// Says more than a sentence for all cases would.
    pub fn with_detail(mut self, detail: String) -> Self {
        self.0.body.error.clone_from(&detail);
        self.0.body.message.clone_from(&detail);
        self.0.body.detail = detail;
        self
    }

    /// What another said, beside our own sentence.
    pub fn with_details(mut self, details: String) -> Self {
        self.0.body.details = Some(details);
        self
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What it says, and the headers that go with it, for an answer of another shape.
    pub fn told(self) -> (String, HeaderMap) {
        let Content { body, headers } = *self.0;
        (body.detail, headers.into_iter().collect())
    }

    fn with_header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.0.headers.push((name, value));
        }
        self
    }

    pub fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON", detail)
    }

    pub fn malformed_key() -> Self {
        let detail = "Idempotency-Key must be given once, with 1 to 255 visible ASCII characters.";
        Self::new(StatusCode::BAD_REQUEST, "malformed-key", "The idempotency key is malformed", detail)
    }

    /// No credentials were shown.
    pub fn unauthenticated() -> Self {
        let detail = "Send an API key as X-API-Key or a token as Authorization: Bearer.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Credentials are missing", detail)
            .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"correio\"")
    }

    /// What was shown is not to be believed.
    pub fn invalid_credentials(reason: &str) -> Self {
        let detail = format!("The credentials were refused: {reason}.");
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The credentials were refused", detail)
            .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"correio\", error=\"invalid_token\"")
    }

    /// The secret of a report is no credential of ours: no way to authenticate is named.
    pub fn not_let_in(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The report was refused", detail)
            .with_header(header::CACHE_CONTROL, "no-store")
    }

    /// A name and a password were shown that do not belong together.
    pub fn not_signed_in() -> Self {
        let detail = "Invalid credentials.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The name or the password is wrong", detail)
            .with_header(header::CACHE_CONTROL, "no-store")
    }

    /// Too many wrong passwords were tried with a name.
    pub fn name_locked(seconds: u64) -> Self {
        let detail = format!("Too many failed logins with this name; try again in {seconds} s.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "name-locked", "The name is locked", detail)
            .with_header(header::RETRY_AFTER, seconds)
    }

    pub fn too_many_requests(seconds: u64) -> Self {
        let detail = format!("Too Many Requests: try again in {seconds} s.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail)
            .with_header(header::RETRY_AFTER, seconds)
    }

    pub fn forbidden(scope: Scope) -> Self {
        let detail = format!("This needs the scope {scope}.");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "A scope is missing", detail)
    }

    /// A provider that asks where to report to has shown no token that is known.
    pub fn handshake_refused() -> Self {
        let detail = "No instance there has this verify token.";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The verify token is not known", detail)
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "No such route", "There is nothing at this path.")
    }

    pub fn unknown_instance() -> Self {
        let detail = "There is no such instance.";
        Self::new(StatusCode::NOT_FOUND, "unknown-instance", "No such instance", detail)
    }

    pub fn unknown_message() -> Self {
        let detail = "There is no such message.";
        Self::new(StatusCode::NOT_FOUND, "unknown-message", "No such message", detail)
    }

    /// In the words that its clients know.
    pub fn unknown_event() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-event", "No such event", "Evento não encontrado.")
    }

    pub fn unknown_event_type() -> Self {
        let detail = "There is no such type of events among those that you registered.";
        Self::new(StatusCode::NOT_FOUND, "unknown-event-type", "No such type of events", detail)
    }

    pub fn unknown_subscription() -> Self {
        let detail = "There is no such subscription.";
        Self::new(StatusCode::NOT_FOUND, "unknown-subscription", "No such subscription", detail)
    }

    pub fn unknown_group() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-group", "No such group", "There is no such group.")
    }

    pub fn unknown_broadcast() -> Self {
        let detail = "There is no such broadcast.";
        Self::new(StatusCode::NOT_FOUND, "unknown-broadcast", "No such broadcast", detail)
    }

    pub fn unknown_member() -> Self {
        let detail = "The group has no such member.";
        Self::new(StatusCode::NOT_FOUND, "unknown-member", "No such member", detail)
    }

    pub fn method_not_allowed() -> Self {
        let detail = "This path does not take this method; see the Allow header.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Wrong method", detail)
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "It conflicts with what is there", detail)
    }

    pub fn in_flight() -> Self {
        let detail = "The message of this Idempotency-Key is still being delivered; ask again.";
        Self::new(StatusCode::CONFLICT, "in-flight", "Still being delivered", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("The body has more than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", detail)
            .with_header(header::CONNECTION, "close")
    }

    pub fn unsupported_media_type() -> Self {
        let detail = "The body must be JSON, sent with Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub fn unsupported_charset(charset: &str) -> Self {
        let detail = format!("The body must be JSON in UTF-8, and not in {charset}.");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// `understood`: the encodings that are, as `Accept-Encoding` names them.
    pub fn unsupported_content_encoding(understood: &'static str) -> Self {
        let detail = format!("The body is compressed in a way that is not understood; these are: {understood}.");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, detail)
            .with_header(header::ACCEPT_ENCODING, understood)
    }

    pub fn invalid_field(problems: impl IntoIterator<Item = FieldProblem>) -> Self {
        let errors: Vec<FieldError> =
            problems.into_iter().map(|problem| FieldError { path: problem.path, detail: problem.detail }).collect();
        let first: Vec<String> =
            errors.iter().take(5).map(|error| format!("{} {}", error.path, error.detail)).collect();
        let detail = format!("{}.", first.join("; "));
        let title = "The request has invalid members";
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", title, detail);
        problem.0.body.errors = errors;
        problem
    }

    /// The same for clients of systems that answer 400.
    pub fn bad_request(problems: impl IntoIterator<Item = FieldProblem>) -> Self {
        let mut problem = Self::invalid_field(problems);
        problem.0.body.status = StatusCode::BAD_REQUEST.as_u16();
        problem.0.body.status_code = problem.0.body.status;
        problem
    }

    pub fn key_reused() -> Self {
        let detail = "This Idempotency-Key was used with another body.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "The idempotency key was used", detail)
    }

    pub fn recipient_refused(message_id: &str, reason: &str) -> Self {
        let title = "The channel refused this recipient or content";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "recipient-refused", title, reason).with_failed_message(message_id)
    }

    /// It is a dead letter.
    pub fn record_too_large(message_id: &str, reason: &str) -> Self {
        let title = "The record is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "record-too-large", title, reason).with_failed_message(message_id)
    }

    /// Not logged for each: the operator has configured none.
    pub fn no_brokers() -> Self {
        let detail = "This installation publishes to no topics: no Kafka brokers are configured (KAFKA_BROKERS).";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "No Kafka", detail)
    }

    pub fn channel_failed(message_id: &str, reason: &str) -> Self {
        let title = "The channel failed";
        Self::new(StatusCode::BAD_GATEWAY, "channel-failed", title, reason).with_failed_message(message_id)
    }

    /// What was asked of an instance's provider was not done.
    pub fn provider_failed(reason: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "channel-failed", "The provider failed", reason)
    }

    /// What was posted to a subscriber was not taken.
    pub fn subscriber_failed(reason: &str) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "channel-failed", "The subscriber failed", reason)
    }

    /// Under the name that clients of topics know.
    pub fn of_record(mut self, message_id: &str) -> Self {
        self.0.body.message_id = Some(message_id.to_owned());
        self
    }

    fn with_failed_message(mut self, message_id: &str) -> Self {
        self.0.body.data = Some(json!({"messageId": message_id, "status": "failed"}));
        self
    }

    /// Logs the cause, which is never sent.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        let detail = "Something went wrong on our side; the log has the details under this request's id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// In direct mode: too many requests wait. Not logged: the answer says it, and nothing is wrong here.
    pub fn busy(busy: Busy) -> Self {
        let (title, waited_for) = match busy {
            Busy::Recipient => ("The recipient is busy", "this recipient"),
            Busy::Instance => ("The instance is busy", "this instance"),
            Busy::Tenant => ("The tenant is busy", "the instances of this tenant"),
        };
        let detail = format!("Too many requests wait for {waited_for}; nothing was stored, try again.");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title, detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Not logged: the answer says it, and nothing is wrong here.
    pub fn too_many_open(open: u64, limit: u64) -> Self {
        let detail = format!(
            "{open} messages of the tenant are open, of at most {limit} (MAX_OPEN_PER_TENANT); nothing was stored."
        );
        let mut problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-open", "Too many messages are open", detail);
        problem.0.body.data = Some(json!({ "open": open, "limit": limit }));
        (problem.0.body.open, problem.0.body.limit) = (Some(open), Some(limit));
        problem.with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// In direct mode: the instance may not be called before this has passed. Not logged: the answer says it.
    pub fn not_yet(reason: &str, pause: Duration) -> Self {
        let detail = format!("{reason} Nothing was stored, try again.");
        let seconds = pause.as_millis().div_ceil(1_000).max(1);
        let problem =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The instance may not be called yet", detail);
        problem.with_header(header::RETRY_AFTER, seconds.to_string())
    }

    /// Not logged for each: [`InFlight`](crate::presentation::http::wire::serving::InFlight) says it once.
    pub fn too_many_in_flight() -> Self {
        let detail = "Too many requests are being handled; nothing was done for this one, try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Too many requests", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Not logged: the answer says it.
    pub fn too_many_of_tenant() -> Self {
        let detail = "Too many requests of this tenant are being handled (three quarters of MAX_IN_FLIGHT); nothing was done for this one, try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Too many requests", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Not logged: the answer says it.
    pub fn too_many_streams(of_tenant: bool) -> Self {
        let (status, kind, whose) = match of_tenant {
            true => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "of this tenant "),
            false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", ""),
        };
        let detail = format!("Too many streams of records {whose}are open (MAX_IN_FLIGHT); close one, or try again.");
        Self::new(status, kind, "Too many open streams", detail).with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Nothing was stored.
    pub fn too_many_bodies() -> Self {
        let detail = "The bodies of the requests that are being handled take too much memory; nothing was done for this one, try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Too many bodies", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Not logged, as above: whose they are may be slow to read for a reason.
    pub fn too_many_unread() -> Self {
        let detail = "Too many long answers wait for their clients to read them; try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Too many unread answers", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// More lists and counts than may run concurrently. Not logged: the answer says it, and nothing else waits.
    pub fn too_many_searches() -> Self {
        let detail = "Too many lists and counts are being made; try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Too many searches", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Not logged, as above.
    pub fn search_too_long() -> Self {
        let detail = "This list or count took too long and was ended; narrow it, for example with createdAfter.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "search-too-long", "The search took too long", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// The process was asked to end, and still serves.
    pub fn stopping() -> Self {
        let detail = "This process is about to stop.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Stopping", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Logs the cause.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        tracing::warn!(%cause, "unavailable");
        let detail = "The service cannot do this right now; try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now", detail)
            .with_header(header::RETRY_AFTER, RETRY_AFTER)
    }
}

impl From<RepositoryError> for Problem {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Unavailable(_) | RepositoryError::Contested(_) => Problem::unavailable(error),
            RepositoryError::Conflict => Problem::conflict("It exists already."),
            RepositoryError::Refused(ref cause) => {
                tracing::warn!(%cause, "the database refused what was sent");
                Problem::invalid_field([FieldProblem::new("", "holds something that cannot be stored")])
            }
            RepositoryError::Corrupt(_) => Problem::internal(error),
        }
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Busy => Problem::too_many_searches(),
            SearchError::TooLong => Problem::search_too_long(),
            SearchError::Repository(error) => error.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Content { body, headers } = *self.0;
        let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        response.headers_mut().extend(headers);
        response
    }
}
