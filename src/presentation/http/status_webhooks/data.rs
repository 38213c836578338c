//! A subscription as it is shown.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use crate::application::status_webhooks::ConfiguredSubscription;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageStatus;
use crate::domain::status_webhook::{InvalidStates, States, StatusSubscription};
use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::fields::{self, Problems};
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::path_id;

/// Who is told of which changes, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatusSubscription)]
pub struct SubscriptionData {
    pub id: String,
    pub url: String,
    /// Of which it is told.
    #[schema(example = json!(["sent", "delivered", "read", "failed", "cancelled"]))]
    pub states: Vec<&'static str>,
    /// Only of messages of this instance; null: of all.
    pub channel_instance_id: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
}

/// A subscription that was just made or changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConfiguredStatusSubscription)]
pub struct ConfiguredSubscriptionData {
    #[serde(flatten)]
    pub subscription: SubscriptionData,
    /// A secret that was generated: shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub secret: Option<String>,
}

impl From<StatusSubscription> for SubscriptionData {
    fn from(subscription: StatusSubscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            url: subscription.url,
            states: subscription.states.listed().iter().map(|state| state.as_str()).collect(),
            channel_instance_id: subscription.channel_instance_id,
            created_at: rfc3339(subscription.created_at),
            updated_at: rfc3339(subscription.updated_at),
        }
    }
}

impl From<ConfiguredSubscription> for ConfiguredSubscriptionData {
    fn from(configured: ConfiguredSubscription) -> Self {
        Self { subscription: configured.subscription.into(), secret: configured.revealed_secret }
    }
}

/// The states to be told of: one or more of `sent`, `delivered`, `read`, `failed`, `cancelled`.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(Vec<String>) = StatesField::parse -> fields::Detail)]
#[schema(as = ToldStates, value_type = Vec<String>, example = json!(["sent", "failed"]))]
pub struct StatesField(pub States);

impl StatesField {
    fn parse(names: Vec<String>) -> Result<Self, fields::Detail> {
        let states: Result<Vec<MessageStatus>, _> = names.iter().map(|name| name.parse()).collect();
        let states = states.map_err(|_| fields::Detail(InvalidStates::NotTold.to_string()))?;
        States::some(&states).map(Self).map_err(|error| fields::Detail(error.to_string()))
    }
}

pub fn subscription_id(id: Result<Path<String>, PathRejection>) -> Result<InstanceId, Problem> {
    path_id(id).map(InstanceId).ok_or_else(Problem::unknown_subscription)
}
