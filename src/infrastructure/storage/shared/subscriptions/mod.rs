//! Rows of subscriptions and of what they made of events, of either database.

use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::event::EventId;
use crate::domain::event::kind::KindPattern;
use crate::domain::instance::InstanceName;
use crate::domain::instance::channel::ChannelName;
use crate::domain::subscription::{DeliveryOutcome, EventDelivery, Subscription, SubscriptionId};
use crate::infrastructure::storage::shared::rows::{Row, id, parsed, tenant, text, text_option, time};

/// Patterns as one text; they have no spaces.
pub fn patterns(kinds: &[KindPattern]) -> String {
    kinds.iter().map(KindPattern::as_str).collect::<Vec<_>>().join(" ")
}

pub fn subscription(row: &impl Row) -> Result<Subscription, RepositoryError> {
    Ok(Subscription {
        id: SubscriptionId(id(row, "id")?),
        tenant: tenant(row)?,
        user_id: text(row, "user_id")?,
        name: text(row, "name")?,
        kinds: parsed(row, "types", |text| text.split(' ').map(|one| KindPattern::parse(one).ok()).collect())?,
        filter: text_option(row, "filter")?,
        template: text_option(row, "template")?,
        channel: ChannelName::new(text(row, "channel")?),
        channel_instance_id: parsed(row, "channel_instance_id", |text| InstanceName::parse(text).ok())?,
        recipient: text_option(row, "remote_jid")?,
        is_enabled: row.flag("enabled")?.unwrap_or_default(),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub fn delivery(row: &impl Row) -> Result<EventDelivery, RepositoryError> {
    let message: Option<Uuid> = row.id("message_id")?;
    Ok(EventDelivery {
        event: EventId(id(row, "event_id")?),
        subscription: SubscriptionId(id(row, "subscription_id")?),
        outcome: message.map_or(DeliveryOutcome::Skipped, DeliveryOutcome::Message),
        at: time(row, "at")?,
    })
}
