//! `POST /api/messaging/subscriptions/status`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use utoipa::ToSchema;

use super::data::{ConfiguredSubscriptionData, StatesField};
use crate::application::status_webhooks::{CreateSubscriptionCommand, CreateSubscriptionError};
use crate::domain::access::principal::Scope;
use crate::domain::status_webhook::{MOST, States};
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Address, Name, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// Whom to tell of which changes.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(as = StatusSubscriptionRequest, rename_all = "camelCase",
    example = json!({"url": "https://example.com/estados", "states": ["delivered", "failed"]}))]
pub struct SubscribeRequest {
    /// Where each change is posted to, over `http` or `https`.
    url: Address,
    /// Signs what is posted (Standard Webhooks): `whsec_` and base64 of 24 to 64 bytes. One is generated, and shown once, when absent.
    #[deserr(default)]
    secret: Option<String>,
    /// All of them, when absent.
    #[deserr(default)]
    states: Option<StatesField>,
    /// Only changes of messages of this instance.
    #[deserr(default)]
    channel_instance_id: Option<Name>,
}

/// Subscribe to states
///
/// From now on each change of a message's state is posted to the URL, in order a message, until it is taken: for about three days. The
/// body is `{"type": "message.sent", "timestamp": …, "data": the message as it is read, without its attempts}`.
#[utoipa::path(post, path = "/api/messaging/subscriptions/status", operation_id = "subscribeToStates", tag = "subscriptions",
    request_body = SubscribeRequest,
    responses(
        (status = 201, body = Envelope<ConfiguredSubscriptionData>, description = "It is told from now on"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: there are 100 already"),
        Authenticated,
        WithBody,
    ))]
pub async fn create(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesWrite)?;
    let request: SubscribeRequest = fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let command = CreateSubscriptionCommand {
        url: request.url.0.into_string(),
        secret: request.secret,
        states: request.states.map_or_else(States::all, |states| states.0),
        channel_instance_id: request.channel_instance_id.map(Name::into_string),
    };
    let configured = state.gateway.status_webhooks.create.execute(caller, command).await?;
    Ok(Envelope::of(ConfiguredSubscriptionData::from(configured)).with_status(StatusCode::CREATED))
}

impl From<CreateSubscriptionError> for Problem {
    fn from(error: CreateSubscriptionError) -> Self {
        match error {
            CreateSubscriptionError::Invalid(problems) => Problem::invalid_field(problems),
            CreateSubscriptionError::TooMany => {
                Problem::conflict(format!("There are {MOST} subscriptions to states already: delete one first."))
            }
            CreateSubscriptionError::Cipher(error) => Problem::internal(error),
            CreateSubscriptionError::Repository(error) => error.into(),
        }
    }
}
