//! Version 2: topics and brokers by name, records and consumers.

mod consumers;
mod fetch;
mod names;
mod positions;
pub mod produce;
mod topics;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::presentation::http::wire::state::SharedState;

pub fn with_operations(router: OpenApiRouter<SharedState>) -> OpenApiRouter<SharedState> {
    router
        .routes(routes!(topics::list))
        .routes(routes!(topics::read))
        .routes(routes!(topics::partitions))
        .routes(routes!(topics::partition, produce::to_partition))
        .routes(routes!(topics::offsets))
        .routes(routes!(topics::brokers))
        .routes(routes!(consumers::create))
        .routes(routes!(consumers::delete))
        .routes(routes!(consumers::subscribe, consumers::subscription, consumers::unsubscribe))
        .routes(routes!(fetch::records))
        .routes(routes!(positions::assign, positions::assignment))
        .routes(routes!(positions::commit, positions::committed))
        .routes(routes!(positions::seek))
        .routes(routes!(positions::seek_to_beginning))
        .routes(routes!(positions::seek_to_end))
}
