use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use super::{event, webhook};
use crate::application::access::met_tenants::MetTenants;
use crate::application::ports::{
    Channels, CipherError, Clock, CredentialsCipher, Delivery, Ids, RepositoryError, StatusSubscriptions,
};
use crate::domain::access::principal::Principal;
use crate::domain::instance::InstanceId;
use crate::domain::message::delivery::Acceptance;
use crate::domain::message::{Content, MessageId};
use crate::domain::problem::FieldProblem;
use crate::domain::status_webhook::StatusSubscription;

/// Sends a subscriber an event that tells of nothing: at once, once, and without a trace.
pub struct TrySubscription {
    pub subscriptions: Arc<dyn StatusSubscriptions>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub tenants: MetTenants,
    /// How long its caller waits.
    pub timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum TrySubscriptionError {
    #[error("there is no such channel")]
    NoChannel(FieldProblem),
    /// Also for a subscription of another tenant.
    #[error("there is no such subscription")]
    Unknown,
    /// Why, for people.
    #[error("the subscriber did not take it: {0}")]
    Refused(String),
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl TrySubscription {
    /// # Errors
    /// When the tenant has no such subscription, its subscriber does not take the event within the time, or the database does not
    /// answer.
    pub async fn execute(&self, caller: &Principal, id: InstanceId) -> Result<Acceptance, TrySubscriptionError> {
        let found = self.subscriptions.find(&caller.tenant, id).await?.ok_or(TrySubscriptionError::Unknown)?;
        self.tenants.met(&caller.tenant);
        let sender = webhook::sender(&self.channels).map_err(TrySubscriptionError::NoChannel)?;
        let delivery = self.delivery(found)?;
        match select(sender.send(&delivery), self.clock.sleep(self.timeout)).await {
            Either::Left((Ok(acceptance), _)) => Ok(acceptance),
            Either::Left((Err(error), _)) => Err(TrySubscriptionError::Refused(error.reason)),
            Either::Right(_) => {
                let reason = format!("The webhook did not answer within {:?} (DIRECT_TIMEOUT).", self.timeout);
                Err(TrySubscriptionError::Refused(reason))
            }
        }
    }

    fn delivery(&self, subscription: StatusSubscription) -> Result<Delivery, TrySubscriptionError> {
        let (id, now) = (subscription.id, self.clock.now());
        let payload = Some(event::of_trial(id, now));
        Ok(Delivery {
            message_id: MessageId(self.ids.next()),
            run: 0,
            tries: 1,
            channel_instance_id: StatusSubscription::instance_name(id),
            address: subscription.url,
            credentials: self.cipher.open(id, &subscription.credentials)?,
            recipient: "test".to_owned(),
            content: Content { text: None, media: None, payload, template: None, record: None },
            created_at: now,
        })
    }
}
