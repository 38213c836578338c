//! Errors as Kafka's REST Proxy answers them.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Documented, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::open_streams::TooManyStreams;
use crate::application::kafka_rest::{DeleteTopicError, InstanceError};
use crate::application::ports::AdministrationError;
use crate::presentation::http::wire::problem::Problem;

/// What a client of the REST Proxy gets instead of an answer.
#[derive(Debug)]
pub struct RestError(Box<Content>);

#[derive(Debug)]
struct Content {
    status: StatusCode,
    body: RestErrorBody,
    headers: HeaderMap,
}

/// An error answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = KafkaRestError)]
pub struct RestErrorBody {
    /// Its first three digits are the status.
    pub error_code: u32,
    /// One sentence, Kafka's own where it is Kafka that refuses.
    pub message: String,
}

const NO_BROKER: u32 = 50302;

/// Of a topic or partition, as Kafka says it.
const NOT_HOSTED: &str = "This server does not host this topic-partition.";

impl RestError {
    /// `code`: three digits, or five of which the first three are the status.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        let status = if code >= 1_000 { code / 100 } else { code };
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = RestErrorBody { error_code: code, message: message.into() };
        Self(Box::new(Content { status, body, headers: HeaderMap::new() }))
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// A member of the body, or a parameter, that cannot be used.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(422, message)
    }

    /// A topic or partition of version 3.
    pub fn not_hosted() -> Self {
        Self::new(40403, NOT_HOSTED)
    }

    pub fn no_kafka() -> Self {
        Self::new(NO_BROKER, "No Kafka is configured here: KAFKA_BROKERS names none.")
    }

    pub fn unsupported_media_type() -> Self {
        Self::new(415, "HTTP 415 Unsupported Media Type")
    }

    /// In the codes of version 2.
    pub fn v2(error: AdministrationError) -> Self {
        match error {
            AdministrationError::Unknown(_) => Self::new(40401, "Topic not found."),
            error => Self::v3(error),
        }
    }

    /// In the codes of version 3.
    pub fn v3(error: AdministrationError) -> Self {
        match error {
            AdministrationError::Unknown(_) => Self::not_hosted(),
            AdministrationError::Exists(reason) | AdministrationError::Invalid(reason) => Self::new(40002, reason),
            AdministrationError::Forbidden(reason) => Self::new(40301, reason),
            AdministrationError::Active(reason) => Self::new(409, reason),
            AdministrationError::Unavailable(reason) => Self::new(NO_BROKER, reason),
            AdministrationError::Failed(reason) => Self::new(50002, reason),
        }
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn body(&self) -> &RestErrorBody {
        &self.0.body
    }
}

impl From<Problem> for RestError {
    fn from(problem: Problem) -> Self {
        let code = match problem.status().as_u16() {
            401 => 40101,
            403 => 40301,
            status => u32::from(status),
        };
        let (message, headers) = problem.told();
        let mut error = Self::new(code, message);
        error.0.headers = headers;
        error
    }
}

impl From<DeleteTopicError> for RestError {
    fn from(error: DeleteTopicError) -> Self {
        let message = error.to_string();
        match error {
            DeleteTopicError::Own(..) | DeleteTopicError::OfKafka(..) => Self::new(40301, message),
            DeleteTopicError::Administration(error) => Self::v3(error),
        }
    }
}

impl From<TooManyStreams> for RestError {
    fn from(error: TooManyStreams) -> Self {
        Problem::too_many_streams(error == TooManyStreams::OfTenant).into()
    }
}

impl From<InstanceError> for RestError {
    fn from(error: InstanceError) -> Self {
        let message = error.to_string();
        match error {
            InstanceError::Unknown => Self::new(40403, message),
            InstanceError::Taken => Self::new(40902, message),
            InstanceError::TooMany => Self::new(42901, message),
            InstanceError::OwnGroup(_) => Self::new(40301, message),
            InstanceError::Exclusive | InstanceError::NotAssigned(_) => {
                Self::new(40903, format!("Illegal state: {message}"))
            }
            InstanceError::OtherFormat => Self::new(40601, message),
            InstanceError::Administration(error) => Self::v2(error),
        }
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let Content { status, body, headers } = *self.0;
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

/// The error answers of all operations of the REST Proxy.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let answers = [
            (400, "What Kafka refuses, with its reason"),
            (401, "No credentials, or wrong ones"),
            (403, "A scope is missing, or Kafka's ACLs deny it"),
            (404, "There is no such cluster, topic, partition, group or consumer"),
            (408, "No record has come for 30 s"),
            (409, "It conflicts with what is there"),
            (413, "The body, or a record, is larger than is taken"),
            (415, "The content type, or a compression, is not taken"),
            (422, "A member that cannot be used"),
            (429, "Too many consumers, or streams of records, are open"),
            (500, "Kafka failed"),
            (503, "No broker is configured, or none answers"),
        ];
        let schema = Ref::from_schema_name(RestErrorBody::name());
        let documented = |text: &str| {
            let content = ContentBuilder::new().schema(Some(schema.clone())).build();
            ResponseBuilder::new().description(text).content("application/json", content).build()
        };
        answers.into_iter().map(|(status, text)| (status.to_string(), RefOr::T(documented(text)))).collect()
    }
}
