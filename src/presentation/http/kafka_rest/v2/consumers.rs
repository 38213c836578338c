//! Consumers that live in this process: their making, and what they read.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestBody, RestCaller, TO_READ, kafka, own_address, segment};
use super::names;
use crate::application::kafka_rest::{CreateConsumer, Format, InstanceName};
use crate::application::ports::Subscription;
use crate::domain::access::principal::Principal;
use crate::presentation::http::wire::state::SharedState;

/// The type of all answers but records.
pub(super) const V2: &str = "application/vnd.kafka.v2+json";

/// Of a fetch, unless its instance says otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewInstance {
    name: Option<String>,
    format: Option<String>,
    #[serde(rename = "auto.offset.reset")]
    reset: Option<String>,
    #[serde(rename = "auto.commit.enable")]
    commits: Option<Value>,
    #[serde(rename = "fetch.min.bytes")]
    least_bytes: Option<Value>,
    #[serde(rename = "consumer.request.timeout.ms")]
    timeout: Option<Value>,
}

pub(super) fn instance(caller: &Principal, (group, name): (String, String)) -> InstanceName {
    InstanceName { tenant: caller.tenant.clone(), group, name }
}

pub(super) fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, V2)], body.to_string()).into_response()
}

/// Create a consumer
///
/// It lives in this process, for as long as it is called at least every five minutes. Without `auto.offset.reset` it begins with
/// what comes from now on, and unless `auto.commit.enable` is `"false"` it commits what it gave out when it is asked for more.
#[utoipa::path(post, path = "/consumers/{group}", operation_id = "createConsumer", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group")),
    request_body(content = Object, description = "`name`, `format` (`binary` or `json`), `auto.offset.reset`, `auto.commit.enable`, `fetch.min.bytes`, `consumer.request.timeout.ms`"),
    responses((status = 200, content_type = "application/vnd.kafka.v2+json", body = Object, description = "`instance_id`, `base_uri`"), Refusals))]
pub async fn create(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(group): Named<String>,
    headers: HeaderMap,
    body: RestBody,
) -> Result<Response, RestError> {
    let tenant = &caller.must(TO_READ)?.tenant;
    let kafka = kafka(&state)?;
    let new = match body.0 {
        Value::Null => NewInstance::default(),
        _ => body.read().map_err(|error| RestError::new(42204, error.body().message.clone()))?,
    };
    let command = CreateConsumer {
        format: format(new.format.as_deref())?,
        from_beginning: from_beginning(new.reset.as_deref())?,
        commits_itself: commits_itself(new.commits.as_ref())?,
        timeout: match &new.timeout {
            None => TIMEOUT,
            Some(value) => millis(number(value, "consumer.request.timeout.ms", 1..=30_000)?),
        },
        least_bytes: match &new.least_bytes {
            None => None,
            Some(value) => usize::try_from(number(value, "fetch.min.bytes", -1..=10_000_000)?).ok(),
        },
        name: named(new.name)?,
    };
    let name = kafka.consumers.create(tenant, &group, command)?;
    let base = format!("{}/consumers/{}/instances/{}", own_address(&headers), segment(&group), segment(&name));
    Ok(answer(&json!({"instance_id": name, "base_uri": base})))
}

fn named(name: Option<String>) -> Result<Option<String>, RestError> {
    const LONGEST: usize = 255;
    match name {
        Some(name) if name.len() > LONGEST || name.chars().any(char::is_control) => {
            Err(RestError::new(42204, format!("name must be at most {LONGEST} bytes long, without control characters")))
        }
        name => Ok(name.filter(|name| !name.is_empty())),
    }
}

fn format(name: Option<&str>) -> Result<Format, RestError> {
    match name.map(str::to_ascii_lowercase).as_deref() {
        None | Some("binary") => Ok(Format::Binary),
        Some("json") => Ok(Format::Json),
        // Of a schema registry: there is none here.
        _ => Err(RestError::new(422, "Invalid format type.")),
    }
}

fn from_beginning(reset: Option<&str>) -> Result<bool, RestError> {
    match reset {
        None | Some("latest" | "largest") => Ok(false),
        Some("earliest" | "smallest") => Ok(true),
        Some(other) => Err(RestError::new(40001, format!("Invalid value {other} for configuration auto.offset.reset"))),
    }
}

fn commits_itself(value: Option<&Value>) -> Result<bool, RestError> {
    match value {
        None => Ok(true),
        Some(Value::Bool(commits)) => Ok(*commits),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => {
            Err(RestError::new(40001, format!("Invalid value {other} for configuration auto.commit.enable")))
        }
    }
}

/// A number, or a text that is one.
fn number(value: &Value, name: &str, among: std::ops::RangeInclusive<i64>) -> Result<i64, RestError> {
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| among.contains(number)).ok_or_else(|| {
        let (first, last) = (among.start(), among.end());
        RestError::new(42204, format!("{name} must be a number between {first} and {last}"))
    })
}

fn millis(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or_default())
}

/// Close a consumer
#[utoipa::path(delete, path = "/consumers/{group}/instances/{instance}", operation_id = "deleteConsumer", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    responses((status = 204, description = "It has left its group"), Refusals))]
pub async fn delete(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(place): Named<(String, String)>,
) -> Result<StatusCode, RestError> {
    let name = instance(caller.must(TO_READ)?, place);
    kafka(&state)?.consumers.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
struct Subscribe {
    topics: Option<Vec<String>>,
    topic_pattern: Option<String>,
}

/// Subscribe a consumer to topics, or to a pattern
#[utoipa::path(post, path = "/consumers/{group}/instances/{instance}/subscription", operation_id = "subscribeConsumer", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    request_body(content = Object, description = "`topics` or `topic_pattern`"),
    responses((status = 204, description = "It is subscribed"), Refusals))]
pub async fn subscribe(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(place): Named<(String, String)>,
    body: RestBody,
) -> Result<StatusCode, RestError> {
    let name = instance(caller.must(TO_READ)?, place);
    let kafka = kafka(&state)?;
    let Subscribe { topics, topic_pattern } = body.read()?;
    let subscription = match (topics, topic_pattern) {
        (Some(topics), None) if !topics.is_empty() => Subscription::Topics(names::topics(topics)?),
        (None, Some(pattern)) if !pattern.is_empty() => Subscription::Pattern(names::pattern(pattern)?),
        (Some(_), Some(_)) => return Err(crate::application::kafka_rest::InstanceError::Exclusive.into()),
        _ => return Err(RestError::invalid("topics or topic_pattern must be given")),
    };
    kafka.consumers.subscribe(&name, subscription).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read a consumer's subscription
#[utoipa::path(get, path = "/consumers/{group}/instances/{instance}/subscription", operation_id = "readConsumerSubscription", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    responses((status = 200, content_type = "application/vnd.kafka.v2+json", body = Object, description = "`topics`"), Refusals))]
pub async fn subscription(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(place): Named<(String, String)>,
) -> Result<Response, RestError> {
    let name = instance(caller.must(TO_READ)?, place);
    let topics = kafka(&state)?.consumers.subscription(&name).await?;
    Ok(answer(&json!({"topics": topics})))
}

/// End a consumer's subscription
#[utoipa::path(delete, path = "/consumers/{group}/instances/{instance}/subscription", operation_id = "unsubscribeConsumer", tag = "kafka",
    params(("group" = String, Path, description = "The consumer group"), ("instance" = String, Path, description = "The consumer")),
    responses((status = 204, description = "It reads nothing"), Refusals))]
pub async fn unsubscribe(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(place): Named<(String, String)>,
) -> Result<StatusCode, RestError> {
    let name = instance(caller.must(TO_READ)?, place);
    kafka(&state)?.consumers.unsubscribe(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
