use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{error, info};

use super::event;
use super::tell_changes::message;
use crate::application::Stop;
use crate::application::delivery::breaking::Breaking;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::ports::{BreakerRow, Clock, Ids, InstanceRepository, RepositoryError, StatusSubscriptions};
use crate::application::service::Repeated;
use crate::domain::instance::Instance;
use crate::domain::instance::breaker::BreakerState;
use crate::domain::message::{Message, MessageId};
use crate::domain::status_webhook::Subscriber;

/// Hears which breakers are open, at whatever process they opened, and tells subscribers: that one has opened, that its instance was
/// disabled, that it has closed.
pub struct TellBreakers {
    pub breaking: Breaking,
    pub subscriptions: Arc<dyn StatusSubscriptions>,
    pub instances: Arc<dyn InstanceRepository>,
    pub identity: NodeIdentity,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// When it was looked for the last time for what is called no more.
    pub looked_at: Option<Duration>,
}

/// Between two such looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// What has waited so long for its probe is perhaps called no more: its instance was deleted, or sends elsewhere.
const LEFT_AFTER: Duration = Duration::from_secs(3_600);

impl TellBreakers {
    async fn tell(&self, row: &BreakerRow) -> Result<(), RepositoryError> {
        let instance = match row.of.instance() {
            Some(id) => self.instances.find_any(id).await?,
            None => None,
        };
        let messages = self.messages(row, instance.as_ref()).await?;
        if !self.breaking.tell(row, &messages).await? {
            return Ok(());
        }
        let state = row.state.as_str();
        match row.disabled_at {
            Some(_) => {
                error!(breaker.of = %row.of, reason = row.reason, "the instance is disabled: it has failed for DISABLE_AFTER")
            }
            None => info!(breaker.of = %row.of, state, subscribers = messages.len(), "a breaker has changed"),
        }
        Ok(())
    }

    async fn close_those_left(&mut self, rows: &[BreakerRow]) -> Result<(), RepositoryError> {
        let now = self.clock.monotonic();
        if self.looked_at.is_some_and(|last| now.saturating_sub(last) < LOOK_INTERVAL) {
            return Ok(());
        }
        self.looked_at = Some(now);
        let idle = rows.iter().filter(|row| row.state == BreakerState::Open && row.idle >= LEFT_AFTER);
        for row in idle {
            let is_there = match row.of.instance() {
                Some(id) => self.instances.find_any(id).await?.is_some(),
                None => false,
            };
            if !is_there {
                self.breaking.close(&row.of).await?;
            }
        }
        Ok(())
    }

    /// The relay hands them over: they are few.
    async fn messages(&self, row: &BreakerRow, instance: Option<&Instance>) -> Result<Vec<Message>, RepositoryError> {
        let subscriptions = self.subscriptions.list(&row.tenant).await?;
        // Of what tells, nothing is told; nor of what was deleted.
        let is_one = |of| subscriptions.iter().any(|subscription| subscription.id == of);
        if row.of.instance().is_some_and(|of| instance.is_none() || is_one(of)) {
            return Ok(Vec::new());
        }
        let (node, now) = (self.identity.current_or_wait().await?, self.clock.now());
        let name = instance.map(|instance| &instance.channel_instance_id);
        let hears = |to: &Subscriber| to.channel_instance_id.is_none() || to.channel_instance_id.as_ref() == name;
        let tells = |to: Subscriber| {
            let payload = event::of_breaker(row, instance);
            let about = event::about(row);
            let telling = message(payload, about, &to, MessageId(self.ids.next()), (node, now));
            Message { next_attempt_at: Some(now), ..telling }
        };
        Ok(subscriptions.iter().map(Subscriber::from).filter(hears).map(tells).collect())
    }
}

#[async_trait]
impl Repeated for TellBreakers {
    fn name(&self) -> &'static str {
        "breakers"
    }

    fn purpose(&self) -> &'static str {
        "read which destinations fail"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        let rows = self.breaking.refresh().await?;
        for row in rows.iter().filter(|row| row.is_untold()) {
            self.tell(row).await?;
        }
        self.close_those_left(&rows).await
    }
}
