//! The REST API: one file a resource, with its DTOs, handlers and documentation.

mod broadcasts;
mod events;
mod groups;
mod instances;
#[cfg(test)]
mod layers_tests;
mod messages;
mod openapi;
mod operations;
#[cfg(test)]
mod parsing_tests;
mod receipts;
mod request_log;
mod swagger_ui;
mod wire;

use std::any::Any;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::application::messages::send_message::SendMessageCommand;
use crate::application::ports::Channels;
use messages::send_request::AskedSend;
use wire::body;
use wire::problem::Problem;

pub use wire::body::BodyLimits;
pub use wire::held::LargeAnswers;
pub use wire::readiness::Readiness;
pub use wire::serving::{InFlight, Limits, serve};
pub use wire::state::{AppState, SharedState};

/// The whole API, with its documentation.
pub fn router(state: SharedState) -> Router {
    let (api, document) = documented().split_for_parts();
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
fn documented() -> OpenApiRouter<SharedState> {
    documented_health()
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
}

fn documented_health() -> OpenApiRouter<SharedState> {
    OpenApiRouter::with_openapi(openapi::empty_document())
        .routes(routes!(operations::health::live))
        .routes(routes!(operations::health::ready))
        .routes(routes!(operations::health::health))
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
