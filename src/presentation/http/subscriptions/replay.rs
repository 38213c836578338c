//! `POST /subscriptions/{id}/replay`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use super::data::PatternField;
use super::read::subscription_id;
use crate::application::subscriptions::replay_events::{ReplayEventsError, ReplaySelection, ReplayedEvents};
use crate::domain::access::principal::Scope;
use crate::domain::event::EventId;
use crate::domain::message::MessageId;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::moment::Moment;
use crate::presentation::http::wire::page::Cursor;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// Which events of the past.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", example = json!({ "types": ["VENDA"] }))]
pub struct ReplayEventsRequest {
    /// Of these types among the subscription's.
    #[deserr(default)]
    types: Option<Vec<PatternField>>,
    /// Received at this moment or later.
    #[deserr(default)]
    received_after: Option<Moment>,
    /// Received before this moment.
    #[deserr(default)]
    received_before: Option<Moment>,
    /// `nextCursor` of the part before.
    #[deserr(default)]
    cursor: Option<Cursor>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedEventsData {
    /// They are messages now.
    replayed: u64,
    /// They were delivered before, or the filter does not let them through.
    passed_over: u64,
    /// They cannot become messages.
    failed: u64,
    /// Why the first of those cannot.
    error: Option<String>,
    /// What to send as `cursor` for the next part; null: this was the last.
    next_cursor: Option<String>,
}

impl From<ReplayedEvents> for ReplayedEventsData {
    fn from(replayed: ReplayedEvents) -> Self {
        Self {
            replayed: replayed.replayed,
            passed_over: replayed.passed_over,
            failed: replayed.failed,
            error: replayed.problem,
            next_cursor: replayed.next.map(|id| Cursor(MessageId(id.0)).text()),
        }
    }
}

impl From<ReplayEventsError> for Problem {
    fn from(error: ReplayEventsError) -> Self {
        match error {
            ReplayEventsError::Unknown => Problem::unknown_subscription(),
            ReplayEventsError::Disabled => Problem::conflict("The subscription is disabled: enable it first."),
            ReplayEventsError::Search(error) => error.into(),
            ReplayEventsError::Repository(error) => error.into(),
        }
    }
}

/// Replay events
///
/// Gives the subscription those events of the past that it has not had: skipped while it was disabled, or from before it.
/// The newest first, up to 10,000 at a time.
#[utoipa::path(post, path = "/subscriptions/{subscriptionId}/replay", operation_id = "replayEvents", tag = "subscriptions",
    params(("subscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    request_body = ReplayEventsRequest,
    responses(
        (status = 202, body = Envelope<ReplayedEventsData>, description = "They are on their way"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: it is disabled"),
        Authenticated,
        WithBody,
    ))]
pub async fn replay(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let tenant = caller.must(Scope::InstancesWrite)?.tenant.clone();
    let id = subscription_id(id)?;
    let request: ReplayEventsRequest =
        fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let selection = ReplaySelection {
        kinds: request.types.map(|types| types.into_iter().map(|pattern| pattern.0).collect()),
        received_after: request.received_after.map(|at| at.0),
        received_before: request.received_before.map(|at| at.0),
        before: request.cursor.map(|cursor| EventId(cursor.0.0)),
    };
    let gateway = state.gateway.clone();
    let replaying = async move { gateway.subscriptions.replay.execute(&tenant, id, &selection).await };
    let replayed = to_its_end(&state.tasks, replaying).await??;
    Ok(Envelope::of(ReplayedEventsData::from(replayed)).with_status(StatusCode::ACCEPTED))
}
