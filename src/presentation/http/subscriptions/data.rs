//! Subscriptions in requests and answers.

use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;

use crate::application::subscriptions::manage_subscriptions::ManageSubscriptionsError;
use crate::domain::event::kind::KindPattern;
use crate::domain::subscription::Subscription;
use crate::domain::text::bounded;
use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::fields::{Detail, Problems};
use crate::presentation::http::wire::problem::Problem;

/// Types of events: a name, in which each `*` stands for any number of letters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = PatternField::parse -> Detail)]
#[schema(as = TypePattern, value_type = String, min_length = 1, max_length = 100, example = "deal.*")]
pub struct PatternField(pub KindPattern);

impl PatternField {
    fn parse(text: String) -> Result<Self, Detail> {
        KindPattern::parse(&text).map(Self).map_err(Detail)
    }
}

/// A template: 1 to 65,536 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = TemplateField::parse -> Detail)]
#[schema(as = Template, value_type = String, min_length = 1, max_length = 65536)]
pub struct TemplateField(pub String);

impl TemplateField {
    fn parse(text: String) -> Result<Self, Detail> {
        Ok(Self(bounded(text, 65_536)?))
    }
}

/// A filter: 1 to 2,000 characters.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = FilterField::parse -> Detail)]
#[schema(as = Filter, value_type = String, min_length = 1, max_length = 2000, example = "data.valor > 1000.0")]
pub struct FilterField(pub String);

impl FilterField {
    fn parse(text: String) -> Result<Self, Detail> {
        Ok(Self(bounded(text, 2_000)?))
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Subscription)]
pub struct SubscriptionData {
    id: String,
    name: String,
    types: Vec<String>,
    filter: Option<String>,
    template: Option<String>,
    channel: String,
    channel_instance_id: String,
    remote_jid: Option<String>,
    enabled: bool,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<Subscription> for SubscriptionData {
    fn from(subscription: Subscription) -> Self {
        Self {
            id: subscription.id.to_string(),
            name: subscription.name,
            types: subscription.kinds.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            filter: subscription.filter,
            template: subscription.template,
            channel: subscription.channel.as_str().to_owned(),
            channel_instance_id: subscription.channel_instance_id.into_string(),
            remote_jid: subscription.recipient,
            enabled: subscription.is_enabled,
            created_at: rfc3339(subscription.created_at),
            updated_at: rfc3339(subscription.updated_at),
        }
    }
}

impl From<ManageSubscriptionsError> for Problem {
    fn from(error: ManageSubscriptionsError) -> Self {
        match error {
            ManageSubscriptionsError::Invalid(problems) => Problem::invalid_field(problems),
            ManageSubscriptionsError::Forbidden(missing) => missing.into(),
            ManageSubscriptionsError::Unknown => Problem::unknown_subscription(),
            ManageSubscriptionsError::NameTaken => Problem::conflict("There is a subscription of this name."),
            error @ (ManageSubscriptionsError::TooMany | ManageSubscriptionsError::TooLarge) => {
                Problem::conflict(format!("{error}."))
            }
            ManageSubscriptionsError::Repository(error) => error.into(),
        }
    }
}
