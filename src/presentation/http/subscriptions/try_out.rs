//! `POST /subscriptions/{id}/test`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::read::subscription_id;
use crate::application::events::reporting::report_event::SOURCE;
use crate::application::subscriptions::try_subscription::Trial;
use crate::domain::access::principal::Scope;
use crate::domain::event::known_kinds::KnownKind;
use crate::domain::event::{Event, EventId, EventStatus};
use crate::presentation::http::events::report_request::{ReportRequest, read};
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::{Envelope, raw_json};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::state::SharedState;

/// What a subscription would do with an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialData {
    /// Whether it would become a message.
    matches: bool,
    /// Whether its type is one of the subscription's.
    type_matches: bool,
    /// What the filter comes to; null where it is not asked, or fails.
    filter_matches: Option<bool>,
    /// Why it would not become a message although it should.
    error: Option<String>,
    /// What would be sent.
    message: Option<TrialMessage>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialMessage {
    channel: String,
    channel_instance_id: String,
    remote_jid: String,
    message: Option<String>,
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
}

impl From<Trial> for TrialData {
    fn from(trial: Trial) -> Self {
        Self {
            matches: trial.message.is_some(),
            type_matches: trial.is_for_type,
            filter_matches: trial.holds,
            error: trial.problem,
            message: trial.message.map(|message| TrialMessage {
                channel: message.channel.as_str().to_owned(),
                channel_instance_id: message.channel_instance_id,
                remote_jid: message.recipient,
                message: message.content.text,
                payload: raw_json(message.content.payload),
            }),
        }
    }
}

/// Try a subscription
///
/// Shows what it would send for this event. Nothing is stored, and nothing sent.
#[utoipa::path(post, path = "/subscriptions/{subscriptionId}/test", operation_id = "trySubscription", tag = "subscriptions",
    params(("subscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    request_body = ReportRequest,
    responses(
        (status = 200, body = Envelope<TrialData>, description = "What it would do"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        Authenticated,
        WithBody,
    ))]
pub async fn try_out(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let caller = caller.must(Scope::InstancesRead)?;
    let id = subscription_id(id)?;
    let report = read(body, None).map_err(Problem::invalid_field)?;
    let (event_id, now) = (EventId(uuid::Uuid::now_v7()), chrono::Utc::now());
    let event = Event {
        id: event_id,
        tenant: caller.tenant.clone(),
        source: SOURCE.to_owned(),
        name: report.name.unwrap_or_else(|| event_id.to_string()),
        key: report.key,
        kind: KnownKind::find(&report.kind).map_or(report.kind, |known| known.name.to_owned()),
        origin: Some(caller.subject.clone()),
        claimed_origin: report.origin,
        ordering_key: None,
        data: report.data,
        via: None,
        occurred_at: report.occurred_at,
        received_at: now,
        status: EventStatus::Received,
        error: None,
        updated_at: now,
    };
    let trial = state.gateway.subscriptions.try_out.execute(caller, id, &event).await?;
    let trial = trial.ok_or_else(Problem::unknown_subscription)?;
    Ok(Envelope::of(TrialData::from(trial)).with_status(StatusCode::OK))
}
