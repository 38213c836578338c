//! The REST API: one file a resource, with its DTOs, handlers and documentation.

mod body;
mod caller;
mod compact_json;
mod envelope;
mod fields;
mod health;
mod instances;
#[cfg(test)]
mod layers_tests;
mod messages;
mod openapi;
#[cfg(test)]
mod parsing_tests;
mod problem;
mod query;
mod request_log;
mod retry;
mod send;

use std::any::Any;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::application::authenticate::Authenticate;
use crate::application::create_instance::CreateInstance;
use crate::application::delete_instance::DeleteInstance;
use crate::application::ports::Channels;
use crate::application::read_instances::ReadInstances;
use crate::application::read_messages::ReadMessages;
use crate::application::replay_messages::ReplayMessages;
use crate::application::report_health::ReportHealth;
use crate::application::send_message::{SendMessage, SendMessageCommand};
use crate::application::update_instance::UpdateInstance;
use problem::Problem;

/// What the handlers need, shared: each request has several handles to it.
pub type SharedState = Arc<AppState>;

pub struct AppState {
    pub authenticate: Arc<Authenticate>,
    pub send_message: Arc<SendMessage>,
    pub read_messages: Arc<ReadMessages>,
    pub replay_messages: Arc<ReplayMessages>,
    pub create_instance: Arc<CreateInstance>,
    pub read_instances: Arc<ReadInstances>,
    pub update_instance: Arc<UpdateInstance>,
    pub delete_instance: Arc<DeleteInstance>,
    pub report_health: Arc<ReportHealth>,
    /// Where work goes that a caller who hangs up must not cancel.
    pub tasks: TaskTracker,
    pub max_body_bytes: usize,
}

/// The whole API, with its documentation.
pub fn router(state: SharedState) -> Router {
    let (api, document) = documented().split_for_parts();
    finished(api.merge(openapi::routes(document)), state)
}

/// What a process answers that serves no API: how it is.
pub fn health_router(state: SharedState) -> Router {
    let (health, _) = documented_health().split_for_parts();
    finished(health, state)
}

fn finished(routes: Router<SharedState>, state: SharedState) -> Router {
    let routes = routes
        .fallback(|| std::future::ready(Problem::not_found()))
        .method_not_allowed_fallback(|| std::future::ready(Problem::method_not_allowed()));
    layered(routes).with_state(state)
}

/// The log is around everything, so that a panic is logged with its request's id, and its answer, too.
fn layered<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    // Together: each layer alone would box the services and the futures within it once more.
    routes.layer((middleware::from_fn(request_log::log), CatchPanicLayer::custom(panicked)))
}

/// Whole paths, not nested ones: a request through a nested router gets a URI of its own, and two more services around it.
fn documented() -> OpenApiRouter<SharedState> {
    documented_health()
        .routes(routes!(send::send))
        .routes(routes!(messages::list))
        .routes(routes!(messages::stats))
        .routes(routes!(messages::read))
        .routes(routes!(retry::one))
        .routes(routes!(retry::many))
        .routes(routes!(instances::create_as_known))
        .routes(routes!(instances::create, instances::list))
        .routes(routes!(instances::read, instances::update, instances::delete))
}

fn documented_health() -> OpenApiRouter<SharedState> {
    OpenApiRouter::with_openapi(openapi::empty_document())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::health))
}

/// What the body of a request to send asks for; None when it is refused. For `benches/parts.rs`.
#[doc(hidden)]
pub fn read_send_request(bytes: Bytes, channels: &Channels) -> Option<SendMessageCommand> {
    let value = serde_json::from_slice(&bytes).ok()?;
    send::read(body::JsonBody { value, bytes }, channels).ok()
}

/// An id in a path; anything that is no hyphenated UUID names nothing.
fn path_id(path: Result<Path<String>, PathRejection>) -> Option<Uuid> {
    let Path(text) = path.ok()?;
    text.parse::<uuid::fmt::Hyphenated>().ok().map(Uuid::from)
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::internal("a handler panicked").into_response()
}
