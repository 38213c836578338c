//! `POST /topics/{topic}`

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use super::alike::digest;
use super::caller::TopicCaller;
use super::erp_body;
use super::settings::UnconfirmedAnswer;
use crate::application::topics::{Confirmation, Once, OncePublished, PublishRecordsError, RefusedFor};
use crate::domain::access::principal::{Principal, Scope};
use crate::domain::message::MessageId;
use crate::domain::problem::FieldProblem;
use crate::domain::topic::{Origin, TopicName, TopicRecord};
use crate::presentation::http::kafka_rest::v2::produce;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

static X_CORREIO_REPAIRED: HeaderName = HeaderName::from_static("x-correio-repaired");

/// What a bridge in Node answered while Kafka was away.
const KEPT: &str = "Mensagem salva para retry automático";
const UNAVAILABLE: &str = "Kafka indisponível";

/// A record for a topic.
#[derive(ToSchema)]
#[schema(example = json!({"key": "000001001", "data": {"cabecalho": {"documento": "000001", "valorTotal": 1500.5}}}))]
#[allow(dead_code, reason = "it is read member by member: see `erp_body`")]
pub struct ErpRecord {
    /// The record's key, as text. Absent, null, false, `""` and 0 are no key.
    #[schema(value_type = Option<String>)]
    key: Option<String>,
    /// The record's value: any JSON.
    #[schema(value_type = serde_json::Value)]
    data: serde_json::Value,
}

/// The record is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Published {
    /// Always true.
    success: bool,
    /// The message's id.
    message_id: String,
    /// One element.
    offsets: [RecordOffset; 1],
    /// `all`
    acks: &'static str,
    /// Whether all in-sync replicas have the record. Otherwise it is published later.
    confirmed: bool,
    duration_ms: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RecordOffset {
    /// Null until the record is confirmed.
    offset: Option<String>,
    partition: Option<i32>,
    /// Always null.
    error_code: Option<u16>,
    /// Always null.
    error: Option<String>,
}

/// The record is kept and not confirmed, in the words of the Node bridge (`TOPICS_UNCONFIRMED_STATUS=500`).
#[derive(Debug, Serialize, ToSchema)]
pub struct Unconfirmed {
    success: bool,
    error_code: u16,
    error: String,
    message_id: String,
    message: &'static str,
}

/// Publish a record to a topic
///
/// The record is stored, then published, and all in-sync replicas have it when the answer says `confirmed`. One that is not
/// confirmed in time (`TOPICS_CONFIRM_TIMEOUT`) is kept and published later. Where `Content-Type` names no charset, or Windows-1252,
/// a body that is not UTF-8 is read as Windows-1252. Control characters within strings are forgiven. `X-Correio-Repaired` says what
/// was mended.
#[utoipa::path(post, path = "/topics/{topic}", operation_id = "publishToTopic", tag = "topics",
    params(("topic" = String, Path, description = "The topic's name")),
    request_body = ErpRecord,
    responses(
        (status = 200, body = Published, description = "It is kept, and confirmed if the answer says so",
            headers(("X-Correio-Repaired" = String, description = "What of the body was mended: `windows-1252`, `control-characters`"))),
        (status = 207, content_type = "application/vnd.kafka.v2+json", body = Object,
            description = "To a body of Kafka's REST Proxy (`application/vnd.kafka.json.v2+json`): some of its records have failed"),
        (status = 202, body = Published, description = "With `TOPICS_UNCONFIRMED_STATUS=202`: it is kept, and not confirmed yet"),
        (status = 502, body = ProblemBody, content_type = "application/problem+json",
            description = "channel-failed: Kafka has refused it in every try; it is a dead letter"),
        Authenticated,
        WithBody,
    ))]
pub async fn publish(
    State(state): State<SharedState>,
    caller: Result<TopicCaller, Problem>,
    topic: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let began = Instant::now();
    if is_of_rest_proxy(&headers) {
        let produced = produce::to_topic(&state, caller, topic, &headers, body).await;
        return Ok(produced.unwrap_or_else(IntoResponse::into_response));
    }
    let TopicCaller(caller) = caller?;
    caller.must(Scope::TopicsWrite)?;
    let topic = topic_of(topic)?;
    if !body::is_json(&headers) {
        return Err(Problem::unsupported_media_type());
    }
    let bytes = body::uncompressed(&headers, body, &state.topics.bodies).await?;
    let read = erp_body::read(&headers, &bytes)?;
    drop(bytes);
    let record = TopicRecord {
        key: read.key.map(String::into_bytes),
        value: Some(read.value.into_bytes()),
        origin: Origin::Erp,
        ..TopicRecord::default()
    };
    let mut answer = published(&state, caller.0, topic, record, began).await?;
    if let Some(repairs) = read.repairs.as_header() {
        state.topics.repaired.count(read.repairs.charset, read.repairs.control_characters);
        answer.headers_mut().insert(X_CORREIO_REPAIRED.clone(), HeaderValue::from_static(repairs));
    }
    Ok(answer)
}

/// # Errors
/// 422 for what cannot be a topic's name.
pub fn topic_of(path: Result<Path<String>, PathRejection>) -> Result<TopicName, Problem> {
    let invalid = |detail: String| Problem::invalid_field([FieldProblem::new("/topic", detail)]);
    let Path(name) = path.map_err(|_| invalid("must be UTF-8".to_owned()))?;
    TopicName::parse(name).map_err(|error| invalid(error.to_string()))
}

/// `application/vnd.kafka.json.v2+json` and its like: other bodies, with other answers.
fn is_of_rest_proxy(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    essence.trim_start().to_ascii_lowercase().starts_with("application/vnd.kafka.")
}

async fn published(
    state: &SharedState,
    caller: Principal,
    topic: TopicName,
    record: TopicRecord,
    began: Instant,
) -> Result<Response, Problem> {
    let (id, confirmation) = match kept(state, caller, &topic, record).await? {
        OncePublished::New(publication) => {
            let (id, timeout) = (publication.message_id, state.topics.confirm_timeout);
            (id, state.gateway.topics.publish.confirmation(publication, timeout).await)
        }
        OncePublished::Before(id, confirmation) => (id, confirmation),
    };
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(match confirmation {
        Confirmation::Confirmed(position) => {
            let (partition, offset) = (position.partition, position.offset);
            info!(message.id = %id, %topic, partition, offset, duration_ms, "record confirmed, acks=all");
            let offset = RecordOffset {
                offset: Some(offset.to_string()),
                partition: Some(partition),
                error_code: None,
                error: None,
            };
            Json(answer_of(id, offset, true, duration_ms)).into_response()
        }
        Confirmation::Unconfirmed { reason } => {
            warn!(message.id = %id, %topic, duration_ms, reason, "record kept, and not confirmed yet");
            unconfirmed(state.topics.unconfirmed, id, reason, duration_ms)
        }
        Confirmation::Failed { reason, refusal } => failed(id, &reason, refusal).into_response(),
    })
}

/// A caller that hangs up does not cancel what it has begun.
async fn kept(
    state: &SharedState,
    caller: Principal,
    topic: &TopicName,
    record: TopicRecord,
) -> Result<OncePublished, Problem> {
    let (gateway, name) = (state.gateway.clone(), topic.clone());
    if let Some(deduplication) = state.topics.deduplications.get(topic.as_str()) {
        let once = Once { digest: digest(topic, &record, &deduplication.without), within: deduplication.within };
        let publishing = async move { gateway.topics.publish.once(&caller, &name, record, &once).await };
        return Ok(to_its_end(&state.tasks, publishing).await??);
    }
    let publishing = async move { gateway.topics.publish.execute(&caller, &name, vec![record]).await };
    match to_its_end(&state.tasks, publishing).await??.pop() {
        Some(publication) => Ok(OncePublished::New(publication?)),
        None => Err(Problem::internal("a record was neither kept nor refused")),
    }
}

fn answer_of(id: MessageId, offset: RecordOffset, confirmed: bool, duration_ms: u64) -> Published {
    Published { success: true, message_id: id.to_string(), offsets: [offset], acks: "all", confirmed, duration_ms }
}

fn unconfirmed(answer: UnconfirmedAnswer, id: MessageId, reason: Option<String>, duration_ms: u64) -> Response {
    let unknown = RecordOffset { offset: None, partition: None, error_code: None, error: None };
    match answer {
        UnconfirmedAnswer::Ok => Json(answer_of(id, unknown, false, duration_ms)).into_response(),
        UnconfirmedAnswer::Accepted => {
            (StatusCode::ACCEPTED, Json(answer_of(id, unknown, false, duration_ms))).into_response()
        }
        UnconfirmedAnswer::Error => {
            let error = reason.unwrap_or_else(|| UNAVAILABLE.to_owned());
            let body =
                Unconfirmed { success: false, error_code: 500, error, message_id: id.to_string(), message: KEPT };
            (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
        }
    }
}

fn failed(id: MessageId, reason: &str, refusal: Option<RefusedFor>) -> Problem {
    let id = id.to_string();
    let problem = match refusal {
        Some(RefusedFor::Size) => Problem::record_too_large(&id, reason),
        Some(RefusedFor::Content) => Problem::recipient_refused(&id, reason),
        None => Problem::channel_failed(&id, reason),
    };
    problem.of_record(&id)
}

impl From<PublishRecordsError> for Problem {
    fn from(error: PublishRecordsError) -> Self {
        match error {
            PublishRecordsError::NoBrokers => Problem::no_brokers(),
            PublishRecordsError::Reserved => Problem::invalid_field([FieldProblem::new(
                "/topic",
                "names a topic that messages travel through, which takes no records of clients",
            )]),
            PublishRecordsError::Instance(_) => Problem::internal(error),
            PublishRecordsError::Repository(error) => error.into(),
        }
    }
}
