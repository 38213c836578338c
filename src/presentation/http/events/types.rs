//! `POST /events/types`, `GET /events/types` and `DELETE /events/types/{name}`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::application::events::reporting::register_type::RegisterTypeError;
use crate::application::ports::EventType;
use crate::domain::access::principal::Scope;
use crate::domain::event::known_kinds::{KNOWN_KINDS, KnownKind};
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::answers::{Authenticated, WithBody, WithQuery};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::{Envelope, raw_json};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// A type of events to register.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the document: what is sent is read member by member, under several names")]
#[schema(example = json!({ "name": "PEDIDO", "schema": { "type": "object", "required": ["numero"] } }))]
pub struct RegisterTypeRequest {
    /// Required; also as `type` or `tipo`: 1 to 100 characters without spaces.
    name: Option<Value>,
    /// JSON Schema of `data`; without it, any object.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventType)]
pub struct EventTypeData {
    name: String,
    #[schema(value_type = Option<Object>)]
    schema: Option<Box<RawValue>>,
    /// Of those that every tenant has: the members of `data`, one of these sets of them.
    required: Option<Vec<Vec<String>>>,
    /// Whether every tenant has it.
    built_in: bool,
}

impl From<EventType> for EventTypeData {
    fn from(registered: EventType) -> Self {
        Self { name: registered.name, schema: raw_json(registered.schema), required: None, built_in: false }
    }
}

impl From<&'static KnownKind> for EventTypeData {
    fn from(known: &'static KnownKind) -> Self {
        let texts = |members: &&[&str]| members.iter().map(|member| (*member).to_owned()).collect();
        let required = known.required.iter().map(texts).collect();
        Self { name: known.name.to_owned(), schema: None, required: Some(required), built_in: true }
    }
}

impl From<RegisterTypeError> for Problem {
    fn from(error: RegisterTypeError) -> Self {
        match error {
            RegisterTypeError::Invalid(problems) => Problem::bad_request(problems),
            RegisterTypeError::Repository(error) => error.into(),
        }
    }
}

/// Register a type of events
///
/// Or replace the schema of one. A type of yours goes before one of the same name that every tenant has.
#[utoipa::path(post, path = "/events/types", operation_id = "registerEventType", tag = "events",
    request_body = RegisterTypeRequest,
    responses(
        (status = 201, body = Envelope<EventTypeData>, description = "Registered"),
        (status = 200, body = Envelope<EventTypeData>, description = "Replaced"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed-json, invalid-field"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated,
        WithBody,
    ))]
pub async fn register(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::EventsWrite)?;
    let text = |member: &str| body.value.get(member).and_then(Value::as_str).map(str::to_owned);
    let name = text("name").or_else(|| text("type")).or_else(|| text("tipo"));
    let name = name.ok_or_else(|| Problem::bad_request([FieldProblem::new("/name", "is required")]))?;
    let schema = body.value.get("schema").filter(|schema| !schema.is_null()).cloned();
    if schema.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(Problem::bad_request([FieldProblem::new("/schema", "must be an object")]));
    }
    let gateway = state.gateway.clone();
    let registering = async move { gateway.reporting.types.execute(&caller.0, &name, schema.as_ref()).await };
    let (registered, is_new) = to_its_end(&state.tasks, registering).await??;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Envelope::of(EventTypeData::from(registered)).with_status(status))
}

/// List types of events
#[utoipa::path(get, path = "/events/types", operation_id = "listEventTypes", tag = "events",
    responses((status = 200, body = Envelope<Vec<EventTypeData>>, description = "Those of every tenant, then yours"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated, WithQuery))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::EventsRead)?;
    let registered = state.gateway.reporting.types.list(caller).await?;
    let known = KNOWN_KINDS.iter().map(EventTypeData::from);
    let all: Vec<EventTypeData> = known.chain(registered.into_iter().map(EventTypeData::from)).collect();
    Ok(Envelope::of(all).with_status(StatusCode::OK))
}

/// Delete a type of events
///
/// One that you registered; events of it stay.
#[utoipa::path(delete, path = "/events/types/{typeName}", operation_id = "deleteEventType", tag = "events",
    params(("typeName" = String, Path, description = "Its name")),
    responses((status = 204, description = "Deleted"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-event-type"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "too-many-requests"),
        Authenticated, WithQuery))]
pub async fn delete(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let caller = caller.must(Scope::EventsWrite)?;
    let Ok(Path(name)) = name else { return Err(Problem::unknown_event_type()) };
    let is_deleted = !name.contains('\0') && state.gateway.reporting.types.delete(caller, &name).await?;
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::unknown_event_type()) }
}
