//! `PATCH /api/messaging/subscriptions/status/{stateSubscriptionId}`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::data::{ConfiguredSubscriptionData, StatesField, subscription_id};
use crate::application::status_webhooks::{ChangeSubscriptionCommand, ChangeSubscriptionError};
use crate::domain::access::principal::Scope;
use crate::domain::problem::FieldProblem;
use crate::domain::status_webhook::States;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Address, Name, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// What to change of a subscription: absent members stay.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeStatusSubscriptionRequest, rename_all = "camelCase", example = json!({"secret": null}))]
pub struct ChangeRequest {
    #[deserr(default)]
    url: Option<Address>,
    /// The next secret; null generates one, which is shown once. For `SECRET_OVERLAP` the former one signs beside it.
    #[deserr(default)]
    secret: Option<String>,
    /// Null: all of them.
    #[deserr(default)]
    states: Option<StatesField>,
    /// Null: of every instance.
    #[deserr(default)]
    channel_instance_id: Option<Name>,
}

/// Change a subscription to states
#[utoipa::path(patch, path = "/api/messaging/subscriptions/status/{stateSubscriptionId}", operation_id = "changeStateSubscription",
    tag = "subscriptions",
    params(("stateSubscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    request_body = ChangeRequest,
    responses(
        (status = 200, body = Envelope<ConfiguredSubscriptionData>, description = "Changed"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: others change it all the time"),
        Authenticated,
        WithBody,
    ))]
pub async fn change(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let id = subscription_id(id)?;
    let command = read_change(body.value)?;
    let configured = state.gateway.status_webhooks.change.execute(caller, id, command).await?;
    Ok(Envelope::of(ConfiguredSubscriptionData::from(configured)).with_status(StatusCode::OK))
}

fn read_change(value: Value) -> Result<ChangeSubscriptionCommand, Problem> {
    let given: Map<String, Value> = value.as_object().cloned().unwrap_or_default();
    let given = |name: &str| given.get(name);
    let mut problems = Vec::new();
    if given("url").is_some_and(Value::is_null) {
        problems.push(FieldProblem::new("/url", "cannot be cleared"));
    }
    let request = match fields::read::<ChangeRequest>(value) {
        Ok(request) if problems.is_empty() => request,
        Ok(_) => return Err(Problem::invalid_field(problems)),
        Err(more) => return Err(Problem::invalid_field(problems.into_iter().chain(more.0))),
    };
    // Given as null clears; not given stays.
    Ok(ChangeSubscriptionCommand {
        url: request.url.map(|url| url.0.into_string()),
        secret: given("secret").map(|_| request.secret),
        states: given("states").map(|_| request.states.map_or_else(States::all, |states| states.0)),
        channel_instance_id: given("channelInstanceId").map(|_| request.channel_instance_id.map(Name::into_string)),
    })
}

impl From<ChangeSubscriptionError> for Problem {
    fn from(error: ChangeSubscriptionError) -> Self {
        match error {
            ChangeSubscriptionError::Invalid(problems) => Problem::invalid_field(problems),
            ChangeSubscriptionError::Unknown => Problem::unknown_subscription(),
            ChangeSubscriptionError::Contended => {
                Problem::conflict("Other requests change the subscription at the same time: ask again.")
            }
            ChangeSubscriptionError::Cipher(error) => Problem::internal(error),
            ChangeSubscriptionError::Repository(error) => error.into(),
        }
    }
}
