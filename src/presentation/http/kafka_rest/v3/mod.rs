//! Version 3: everything below its cluster, with links between.

mod batch;
mod cluster;
mod configs;
mod groups;
mod lags;
mod objects;
mod partitions;
mod record;
mod records;
mod shape;
mod topics;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::presentation::http::wire::state::SharedState;

pub fn with_operations(router: OpenApiRouter<SharedState>) -> OpenApiRouter<SharedState> {
    let router = router
        .routes(routes!(cluster::list))
        .routes(routes!(cluster::read))
        .routes(routes!(cluster::brokers))
        .routes(routes!(cluster::broker))
        .routes(routes!(topics::list, topics::create))
        .routes(routes!(topics::read, topics::update, topics::delete))
        .routes(routes!(partitions::list))
        .routes(routes!(partitions::read))
        .routes(routes!(partitions::offset))
        .routes(routes!(partitions::replicas))
        .routes(routes!(partitions::replica))
        .routes(routes!(configs::list_all))
        .routes(routes!(configs::list))
        .routes(routes!(configs::read, configs::set, configs::unset))
        .routes(routes!(configs::alter));
    with_groups_and_records(router)
}

fn with_groups_and_records(router: OpenApiRouter<SharedState>) -> OpenApiRouter<SharedState> {
    router
        .routes(routes!(groups::list))
        .routes(routes!(groups::read))
        .routes(routes!(groups::consumers))
        .routes(routes!(groups::consumer))
        .routes(routes!(groups::assignments))
        .routes(routes!(lags::list))
        .routes(routes!(lags::read))
        .routes(routes!(lags::summary))
        .routes(routes!(records::produce))
        .routes(routes!(batch::produce))
}
