//! `GET` and `DELETE /api/messaging/subscriptions/status`

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::data::{SubscriptionData, subscription_id};
use crate::application::status_webhooks::ReadSubscriptionsError;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// List the subscriptions to states
///
/// All of them, oldest first: at most 100.
#[utoipa::path(get, path = "/api/messaging/subscriptions/status", operation_id = "listStateSubscriptions", tag = "subscriptions",
    responses(
        (status = 200, body = Envelope<Vec<SubscriptionData>>, description = "All of them"),
        Authenticated,
        WithQuery,
    ))]
pub async fn list(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
) -> Result<Json<Envelope<Vec<SubscriptionData>>>, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let all = state.gateway.status_webhooks.read.all(caller).await?;
    Ok(Json(Envelope::of(all.into_iter().map(SubscriptionData::from).collect())))
}

/// Read a subscription to states
#[utoipa::path(get, path = "/api/messaging/subscriptions/status/{stateSubscriptionId}", operation_id = "readStateSubscription",
    tag = "subscriptions",
    params(("stateSubscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
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
) -> Result<Json<Envelope<SubscriptionData>>, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let one = state.gateway.status_webhooks.read.one(caller, subscription_id(id)?).await?;
    Ok(Json(Envelope::of(one.into())))
}

/// Unsubscribe from states
///
/// What was not told yet is told no more.
#[utoipa::path(delete, path = "/api/messaging/subscriptions/status/{stateSubscriptionId}", operation_id = "unsubscribeFromStates",
    tag = "subscriptions",
    params(("stateSubscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
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
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    state.gateway.status_webhooks.read.delete(caller, subscription_id(id)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<ReadSubscriptionsError> for Problem {
    fn from(error: ReadSubscriptionsError) -> Self {
        match error {
            ReadSubscriptionsError::Unknown => Problem::unknown_subscription(),
            ReadSubscriptionsError::Repository(error) => error.into(),
        }
    }
}
