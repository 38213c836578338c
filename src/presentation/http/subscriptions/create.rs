//! `POST /subscriptions`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use utoipa::ToSchema;

use super::data::{FilterField, PatternField, SubscriptionData, TemplateField};
use crate::application::subscriptions::manage_subscriptions::SubscriptionDraft;
use crate::domain::access::principal::Scope;
use crate::domain::instance::channel::ChannelName;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Name, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// A subscription to make.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", as = NewSubscription,
    example = json!({ "name": "sales", "types": ["VENDA"], "channel": "sandbox", "channelInstanceId": "sandbox" }))]
pub struct CreateSubscriptionRequest {
    /// Unique among yours.
    name: Name,
    /// 1 to 50.
    #[schema(min_items = 1, max_items = 50)]
    types: Vec<PatternField>,
    /// An expression of CEL over `event`, `data` and `source` that comes to true or false; without it, every event of the types.
    #[deserr(default)]
    filter: Option<FilterField>,
    /// What a message says: a template over the same variables. Text that is a JSON object or list is sent as `payload`; without
    /// a template, the event is.
    #[deserr(default)]
    template: Option<TemplateField>,
    /// `webhook`, `whatsapp_evolution`, …
    channel: Name,
    channel_instance_id: Name,
    /// The recipient, a template, too; without it, the event's id.
    #[deserr(default)]
    remote_jid: Option<TemplateField>,
    /// Events that come while it is false are noted as skipped.
    #[deserr(default = true)]
    #[schema(default = true, required = false)]
    enabled: bool,
}

/// Subscribe to events
///
/// Each event of these types, if the filter holds, becomes one message of the instance.
#[utoipa::path(post, path = "/subscriptions", operation_id = "createSubscription", tag = "subscriptions",
    request_body = CreateSubscriptionRequest,
    responses(
        (status = 201, body = Envelope<SubscriptionData>, description = "Made"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: the name is taken"),
        Authenticated,
        WithBody,
    ))]
pub async fn create(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::InstancesWrite)?;
    let request: CreateSubscriptionRequest =
        fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let draft = SubscriptionDraft {
        name: request.name.into_string(),
        kinds: request.types.into_iter().map(|pattern| pattern.0).collect(),
        filter: request.filter.map(|filter| filter.0),
        template: request.template.map(|template| template.0),
        channel: ChannelName::new(request.channel.into_string()),
        channel_instance_id: request.channel_instance_id.0,
        recipient: request.remote_jid.map(|template| template.0),
        is_enabled: request.enabled,
    };
    let gateway = state.gateway.clone();
    let creating = async move { gateway.subscriptions.manage.create(&caller.0, draft).await };
    let created = to_its_end(&state.tasks, creating).await??;
    Ok(Envelope::of(SubscriptionData::from(created)).with_status(StatusCode::CREATED))
}
