use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::access::user::User;

/// Who may sign in.
///
/// `tests/contracts/access/users.rs` proves this for every implementation.
#[async_trait]
pub trait Users: Send + Sync {
    /// # Errors
    /// [`RepositoryError::Conflict`] when a user of the same name or id is there, disabled or not, whatever the tenant.
    async fn insert(&self, user: &User) -> Result<(), RepositoryError>;

    /// Also one that is disabled.
    async fn find(&self, id: Uuid) -> Result<Option<User>, RepositoryError>;

    /// Also one that is disabled.
    async fn find_by_name(&self, name: &str) -> Result<Option<User>, RepositoryError>;

    /// All users, or a tenant's, disabled ones too; oldest first.
    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<User>, RepositoryError>;

    /// Disables the user; one that is disabled already stays as it is. False when there is none of this name.
    async fn disable(&self, name: &str, now: Timestamp) -> Result<bool, RepositoryError>;

    /// Replaces the password, which enables the user again. False when there is none of this name.
    async fn set_password(&self, name: &str, password_hash: &str) -> Result<bool, RepositoryError>;
}
