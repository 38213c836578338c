use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::access::principal::Tenant;
use crate::domain::subscription::{Subscription, SubscriptionId};

/// Subscriptions of tenants.
///
/// `tests/contracts/subscriptions/subscription_repository.rs` proves this for every implementation.
#[async_trait]
pub trait SubscriptionRepository: Send + Sync {
    /// # Errors
    /// [`RepositoryError::Conflict`] when the tenant has one of this name, or there is one of this id.
    async fn insert(&self, subscription: &Subscription) -> Result<(), RepositoryError>;

    async fn find(&self, tenant: &Tenant, id: SubscriptionId) -> Result<Option<Subscription>, RepositoryError>;

    /// A tenant's, oldest first.
    async fn list(&self, tenant: &Tenant) -> Result<Vec<Subscription>, RepositoryError>;

    /// Replaces what can be changed: all but its id, its tenant, its maker and its beginning. False when there is none.
    ///
    /// # Errors
    /// [`RepositoryError::Conflict`] when the tenant has another one of this name.
    async fn update(&self, subscription: &Subscription) -> Result<bool, RepositoryError>;

    /// What it made of events stays. False when there is none.
    async fn delete(&self, tenant: &Tenant, id: SubscriptionId) -> Result<bool, RepositoryError>;
}
