//! `PATCH /subscriptions/{id}`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use deserr::Deserr;
use utoipa::ToSchema;

use super::data::{FilterField, PatternField, SubscriptionData, TemplateField};
use super::read::subscription_id;
use crate::application::subscriptions::manage_subscriptions::SubscriptionDraft;
use crate::domain::access::principal::Scope;
use crate::presentation::http::wire::answers::{Authenticated, WithBody};
use crate::presentation::http::wire::body::JsonBody;
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::envelope::Envelope;
use crate::presentation::http::wire::fields::{self, Name, Problems};
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::query::{NoParameters, Query};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// What is to change; what is absent stays.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Problems, rename_all = camelCase, deny_unknown_fields)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase", as = SubscriptionChange, example = json!({ "enabled": true }))]
pub struct UpdateSubscriptionRequest {
    #[deserr(default)]
    name: Option<Name>,
    #[deserr(default)]
    #[schema(min_items = 1, max_items = 50)]
    types: Option<Vec<PatternField>>,
    /// Null takes it away.
    #[deserr(default)]
    filter: Option<FilterField>,
    /// Null takes it away.
    #[deserr(default)]
    template: Option<TemplateField>,
    #[deserr(default)]
    channel_instance_id: Option<Name>,
    /// Null takes it away.
    #[deserr(default)]
    remote_jid: Option<TemplateField>,
    #[deserr(default)]
    enabled: Option<bool>,
}

impl UpdateSubscriptionRequest {
    /// `cleared`: the members that are null.
    fn apply(self, draft: &mut SubscriptionDraft, cleared: &[String]) {
        let is_cleared = |member: &str| cleared.iter().any(|name| name == member);
        if let Some(name) = self.name {
            draft.name = name.into_string();
        }
        if let Some(types) = self.types {
            draft.kinds = types.into_iter().map(|pattern| pattern.0).collect();
        }
        if self.filter.is_some() || is_cleared("filter") {
            draft.filter = self.filter.map(|filter| filter.0);
        }
        if self.template.is_some() || is_cleared("template") {
            draft.template = self.template.map(|template| template.0);
        }
        if let Some(instance) = self.channel_instance_id {
            draft.channel_instance_id = instance.0;
        }
        if self.remote_jid.is_some() || is_cleared("remoteJid") {
            draft.recipient = self.remote_jid.map(|template| template.0);
        }
        draft.is_enabled = self.enabled.unwrap_or(draft.is_enabled);
    }
}

/// Change a subscription
///
/// Also to disable it: events that come meanwhile are noted as skipped, and can be replayed.
#[utoipa::path(patch, path = "/subscriptions/{subscriptionId}", operation_id = "updateSubscription", tag = "subscriptions",
    params(("subscriptionId" = uuid::Uuid, Path, description = "The subscription's id")),
    request_body = UpdateSubscriptionRequest,
    responses(
        (status = 200, body = Envelope<SubscriptionData>, description = "As it is now"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "unknown-subscription"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "conflict: the name is taken"),
        Authenticated,
        WithBody,
    ))]
pub async fn update(
    State(state): State<SharedState>,
    caller: Caller,
    _: Query<NoParameters>,
    id: Result<Path<String>, PathRejection>,
    body: JsonBody,
) -> Result<Response, Problem> {
    caller.must(Scope::InstancesWrite)?;
    let id = subscription_id(id)?;
    let members = body.value.as_object().into_iter().flatten();
    let cleared: Vec<String> = members.filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect();
    let request: UpdateSubscriptionRequest =
        fields::read(body.value).map_err(|problems| Problem::invalid_field(problems.0))?;
    let gateway = state.gateway.clone();
    let updating =
        async move { gateway.subscriptions.manage.update(&caller.0, id, |draft| request.apply(draft, &cleared)).await };
    let updated = to_its_end(&state.tasks, updating).await??;
    Ok(Envelope::of(SubscriptionData::from(updated)).with_status(StatusCode::OK))
}
