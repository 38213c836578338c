//! `GET /subscriptions`, `GET /subscriptions/{id}` and `DELETE /subscriptions/{id}`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::data::SubscriptionData;
use crate::domain::access::principal::Scope;
use crate::domain::subscription::SubscriptionId;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::{SharedState, path_id};

/// The id in a path; what is none names none.
pub fn subscription_id(id: Result<Path<String>, PathRejection>) -> Result<SubscriptionId, Problem> {
    path_id(id).map(SubscriptionId).ok_or_else(Problem::unknown_subscription)
}

/// List subscriptions
///
/// Oldest first, all of them: a tenant has at most 1,000.
#[utoipa::path(get, path = "/subscriptions", operation_id = "listSubscriptions", tag = "subscriptions",
    responses((status = 200, body = Envelope<Vec<SubscriptionData>>, description = "Yours"), Authenticated, WithQuery))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let listed = state.gateway.subscriptions.manage.list(caller).await?;
    let data: Vec<SubscriptionData> = listed.into_iter().map(SubscriptionData::from).collect();
    Ok(Envelope::of(data).with_status(StatusCode::OK))
}

/// Read a subscription
#[utoipa::path(get, path = "/subscriptions/{subscriptionId}", operation_id = "readSubscription", tag = "subscriptions",
    params(("subscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    responses(
        (status = 200, body = Envelope<SubscriptionData>, description = "The subscription"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        Authenticated,
        WithQuery,
    ))]
pub async fn read(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let found = state.gateway.subscriptions.manage.find(caller, subscription_id(id)?).await?;
    Ok(Envelope::of(SubscriptionData::from(found)).with_status(StatusCode::OK))
}

/// Delete a subscription
///
/// Messages that it made stay, and are delivered.
#[utoipa::path(delete, path = "/subscriptions/{subscriptionId}", operation_id = "deleteSubscription", tag = "subscriptions",
    params(("subscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        Authenticated,
        WithQuery,
    ))]
pub async fn delete(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    state.gateway.subscriptions.manage.delete(caller, subscription_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
