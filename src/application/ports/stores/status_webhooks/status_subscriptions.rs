use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::status_webhook::StatusSubscription;

/// Who is told of changes. Behind each subscription stands an instance of channel `webhook` with its id, its URL and its
/// credentials, which no client is shown and none can send through. A foreign tenant's subscription is answered exactly like one
/// that does not exist.
///
/// `tests/contracts/status_webhooks/status_subscriptions.rs` proves this for every implementation.
#[async_trait]
pub trait StatusSubscriptions: Send + Sync {
    /// Stores it and the instance behind it. False when its tenant has [`MOST`](crate::domain::status_webhook::MOST), however many
    /// are stored at the same time.
    async fn insert(&self, subscription: &StatusSubscription) -> Result<bool, RepositoryError>;

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<StatusSubscription>, RepositoryError>;

    /// Oldest first.
    async fn list(&self, tenant: &Tenant) -> Result<Vec<StatusSubscription>, RepositoryError>;

    /// Writes its URL, credentials, states, instance, and `updated_at`, and what of them the instance behind it has, if it is still
    /// of `version`, which goes up by one. False when it was changed or deleted meanwhile.
    async fn update(&self, subscription: &StatusSubscription) -> Result<bool, RepositoryError>;

    /// Deletes it, what waits to be told to it, and the instance behind it, which is listed among the deleted ones
    /// ([`DeletedInstances`](crate::application::ports::DeletedInstances)). False when there is none.
    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError>;
}
