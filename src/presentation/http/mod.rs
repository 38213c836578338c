//! The REST API: one file a resource, with its DTOs, handlers and documentation.

mod access;
mod broadcasts;
mod events;
mod groups;
mod instances;
mod kafka_rest;
#[cfg(test)]
mod layers_tests;
mod messages;
mod openapi;
mod operations;
#[cfg(test)]
mod parsing_tests;
mod receipts;
mod request_log;
mod sources;
mod status_webhooks;
mod subscriptions;
mod swagger_ui;
mod topics;
mod wire;

use std::any::Any;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::application::messages::send_message::SendMessageCommand;
use crate::application::ports::Channels;
use messages::send_request::AskedSend;
use wire::body;
use wire::problem::Problem;

pub use kafka_rest::OpenStreams;
pub use topics::{Deduplication, RepairCounts, TopicSettings, UnconfirmedAnswer};
pub use wire::body::BodyLimits;
pub use wire::held::LargeAnswers;
pub use wire::readiness::Readiness;
pub use wire::serving::{InFlight, Limits, serve};
pub use wire::state::{AppState, SharedState};

/// The whole API, with its documentation.
pub fn router(state: SharedState) -> Router {
    let (api, document) = documented(&state).split_for_parts();
    finished(api.merge(swagger_ui::routes(document)), state)
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
    layered(routes, state.in_flight.clone(), state.readiness.clone()).with_state(state)
}

/// The log is around everything, so that a panic is logged with its request's id, and its answer, too.
fn layered<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    in_flight: InFlight,
    readiness: Readiness,
) -> Router<S> {
    let process = request_log::Process { in_flight, readiness };
    // Together: each layer alone would box the services and the futures within it once more.
    routes.layer((middleware::from_fn_with_state(process, request_log::log), CatchPanicLayer::custom(panicked)))
}

/// Whole paths, not nested ones: a request through a nested router gets a URI of its own, and two more services around it.
fn documented(state: &SharedState) -> OpenApiRouter<SharedState> {
    kafka_rest::with_kafka_rest(documented_health())
        .merge(documented_with_limits(state))
        .routes(routes!(messages::send::send))
        .routes(routes!(messages::list::list))
        .routes(routes!(messages::stats::stats))
        .routes(routes!(messages::read::read))
        .routes(routes!(messages::cancel::cancel))
        .routes(routes!(messages::retry::one))
        .routes(routes!(messages::retry::many))
        .routes(routes!(instances::create::create_as_known))
        .routes(routes!(instances::create::create, instances::read::list))
        .routes(routes!(instances::read::read, instances::update::update, instances::delete::delete))
        .routes(routes!(instances::connection::code))
        .routes(routes!(instances::connection::restart))
        .routes(routes!(instances::connection::log_out))
        .routes(routes!(status_webhooks::create::create, status_webhooks::read::list))
        .routes(routes!(status_webhooks::read::read, status_webhooks::change::change, status_webhooks::read::delete))
        .routes(routes!(status_webhooks::attempt::attempt))
        .routes(routes!(broadcasts::send::send))
        .routes(routes!(broadcasts::read::read))
        .routes(routes!(broadcasts::read::messages))
        .routes(routes!(broadcasts::change::pause))
        .routes(routes!(broadcasts::change::resume))
        .routes(routes!(broadcasts::change::cancel))
        .routes(routes!(groups::create::create, groups::list::list))
        .routes(routes!(groups::list::read, groups::update::update, groups::update::delete))
        .routes(routes!(groups::members::add, groups::members::list))
        .routes(routes!(groups::batch::add_many))
        .routes(routes!(groups::members::remove))
        .routes(routes!(groups::send::send))
        .routes(routes!(groups::sync::sync, groups::sync::standing))
        .routes(routes!(receipts::receive::receive_of_app, receipts::handshake::shake_hands_of_app))
        .routes(routes!(receipts::receive::receive, receipts::handshake::shake_hands))
        .routes(routes!(receipts::receive::receive_by_secret))
        .routes(routes!(events::webhook::receive))
        .routes(routes!(events::webhook::receive_by_secret))
        .routes(routes!(events::emergency::set))
        .routes(routes!(events::stats::stats))
        .routes(routes!(topics::publish::publish))
        .routes(routes!(sources::receive::receive, sources::receive::shake_hands))
        .routes(routes!(sources::receive::receive_by_secret))
        .routes(routes!(subscriptions::create::create, subscriptions::read::list))
        .routes(routes!(subscriptions::read::read, subscriptions::update::update, subscriptions::read::delete))
        .routes(routes!(subscriptions::try_out::try_out))
        .routes(routes!(subscriptions::replay::replay))
}

/// The same operations where clients of other systems look for them.
fn aliases() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .route("/api/auth/login", post(access::sign_in::login))
        .route("/api/events", post(events::report::report).get(events::list::list))
        .route("/api/events/dead-letter", get(events::list::dead))
        .route("/api/events/stats", get(events::counts::stats))
        .route("/api/events/types", post(events::types::register).get(events::types::list))
        .route("/api/events/types/{typeName}", delete(events::types::delete))
        .route("/api/events/{eventId}", get(events::read::read))
        .route("/api/events/{eventId}/status", get(events::read::status))
        .route("/api/events/{eventId}/retry", post(events::retry::retry))
        .route("/api/events/{eventId}/reprocess", post(events::retry::retry))
        .route("/events/{eventId}/reprocess", post(events::retry::retry))
}

/// What is counted.
fn documented_with_limits(state: &SharedState) -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(access::sign_in::login))
        .routes(routes!(access::sign_in::sign_in_by_email))
        .routes(routes!(events::report::report, events::list::list))
        .routes(routes!(events::list::dead))
        .routes(routes!(events::counts::stats))
        .routes(routes!(events::types::register, events::types::list))
        .routes(routes!(events::types::delete))
        .routes(routes!(events::read::read))
        .routes(routes!(events::read::status))
        .routes(routes!(events::retry::retry))
        .merge(aliases())
        .layer(middleware::from_fn_with_state(state.clone(), access::limits::count))
}

fn documented_health() -> OpenApiRouter<SharedState> {
    OpenApiRouter::with_openapi(openapi::empty_document())
        .routes(routes!(operations::health::live))
        .routes(routes!(operations::health::ready))
        .routes(routes!(operations::health::health))
        .routes(routes!(operations::metrics::metrics))
}

/// What the body of a request to send asks for; None when it is refused. For `benches/parts.rs`.
#[doc(hidden)]
pub fn read_send_request(bytes: Bytes, channels: &Channels) -> Option<SendMessageCommand> {
    let value = serde_json::from_slice(&bytes).ok()?;
    match messages::send_request::read(body::JsonBody { value, bytes }, channels).ok()? {
        AskedSend::One(command) => Some(command),
        AskedSend::Group(_) => None,
    }
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::internal("a handler panicked").into_response()
}
