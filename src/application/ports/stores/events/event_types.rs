use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;

/// The types of events that tenants have beside the known ones, or in their place.
///
/// `tests/contracts/events/event_types.rs` proves this for every implementation.
#[async_trait]
pub trait EventTypes: Send + Sync {
    /// Adds a type, or replaces the one whose name has the same letters; true if it is new.
    async fn put(&self, event_type: &EventType) -> Result<bool, RepositoryError>;

    /// The type whose name has these letters, as [`folded`](crate::domain::event::kind::folded) makes them.
    async fn find(&self, tenant: &Tenant, letters: &str) -> Result<Option<EventType>, RepositoryError>;

    /// In order of their letters.
    async fn list(&self, tenant: &Tenant) -> Result<Vec<EventType>, RepositoryError>;

    /// False when there is none.
    async fn delete(&self, tenant: &Tenant, letters: &str) -> Result<bool, RepositoryError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    pub tenant: Tenant,
    pub name: String,
    /// JSON text of a JSON Schema that the data has to follow.
    pub schema: Option<String>,
    pub updated_at: Timestamp,
}
