//! `POST /api/messaging/subscriptions/status/{stateSubscriptionId}/test`

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::data::subscription_id;
use crate::application::status_webhooks::TrySubscriptionError;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithQuery};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// What the subscriber answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriedStatusSubscription)]
pub struct TriedData {
    /// Always true: otherwise the answer is 502.
    delivered: bool,
    http_status: Option<u16>,
}

/// Try a subscription to states
///
/// Posts `{"type": "test", …}` to its URL, once, signed as every change is; it is no message and is not listed. Answered within
/// `DIRECT_TIMEOUT`.
#[utoipa::path(post, path = "/api/messaging/subscriptions/status/{stateSubscriptionId}/test", operation_id = "testStateSubscription",
    tag = "subscriptions",
    params(("stateSubscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    responses(
        (status = 200, body = Envelope<TriedData>, description = "The subscriber took it"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        (status = 502, body = ProblemBody, content_type = "application/problem+json", description = "channel-failed: it did not"),
        Authenticated,
        WithQuery,
    ))]
pub async fn attempt(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Envelope<TriedData>>, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let acceptance = state.gateway.status_webhooks.attempt.execute(caller, subscription_id(id)?).await?;
    Ok(Json(Envelope::of(TriedData { delivered: true, http_status: acceptance.http_status })))
}

impl From<TrySubscriptionError> for Problem {
    fn from(error: TrySubscriptionError) -> Self {
        match error {
            TrySubscriptionError::NoChannel(problem) => Problem::invalid_field([problem]),
            TrySubscriptionError::Unknown => Problem::unknown_subscription(),
            TrySubscriptionError::Refused(reason) => Problem::subscriber_failed(&reason),
            TrySubscriptionError::Cipher(error) => Problem::internal(error),
            TrySubscriptionError::Repository(error) => error.into(),
        }
    }
}
