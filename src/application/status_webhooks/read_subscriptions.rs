use std::sync::Arc;

use crate::application::ports::{Clock, RepositoryError, StatusSubscriptions};
use crate::domain::access::principal::Principal;
use crate::domain::instance::InstanceId;
use crate::domain::status_webhook::StatusSubscription;

/// Shows a tenant its subscriptions, and deletes them.
pub struct ReadSubscriptions {
    pub subscriptions: Arc<dyn StatusSubscriptions>,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadSubscriptionsError {
    /// Also for a subscription of another tenant.
    #[error("there is no such subscription")]
    Unknown,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReadSubscriptions {
    /// Oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn all(&self, caller: &Principal) -> Result<Vec<StatusSubscription>, ReadSubscriptionsError> {
        Ok(self.subscriptions.list(&caller.tenant).await?)
    }

    /// # Errors
    /// When the tenant has no such subscription, or the database does not answer.
    pub async fn one(&self, caller: &Principal, id: InstanceId) -> Result<StatusSubscription, ReadSubscriptionsError> {
        self.subscriptions.find(&caller.tenant, id).await?.ok_or(ReadSubscriptionsError::Unknown)
    }

    /// What waits to be told is not told any more, and what is being told fails.
    ///
    /// # Errors
    /// As above.
    pub async fn delete(&self, caller: &Principal, id: InstanceId) -> Result<(), ReadSubscriptionsError> {
        let deleted = self.subscriptions.delete(&caller.tenant, id, self.clock.now()).await?;
        if deleted { Ok(()) } else { Err(ReadSubscriptionsError::Unknown) }
    }
}
