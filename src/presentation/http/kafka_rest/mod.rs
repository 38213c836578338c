//! Kafka's REST Proxy, as its clients know it, and the administration of a Kafka.

pub mod admin;
mod error;
mod open_streams;
mod publishing;
mod request;
pub mod v2;
pub mod v3;

pub use error::RestErrorBody;
pub use open_streams::OpenStreams;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::state::SharedState;

/// All its operations.
pub fn with_kafka_rest(router: OpenApiRouter<SharedState>) -> OpenApiRouter<SharedState> {
    let router = router.routes(routes!(admin::create_topic)).routes(routes!(admin::list_groups));
    let router = router.routes(routes!(admin::describe_group)).routes(routes!(admin::reset_offsets));
    v3::with_operations(v2::with_operations(router))
}
