use std::sync::Arc;

use crate::application::ports::{Clock, GroupRepository, RepositoryError};
use crate::domain::access::principal::Principal;
use crate::domain::group::{Group, GroupChange, GroupId};

/// Changes and deletes a tenant's groups. A synced one gets its provider's name again, and comes back, with the next sync.
pub struct ChangeGroups {
    pub groups: Arc<dyn GroupRepository>,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeGroupError {
    /// Also for a group of another tenant.
    #[error("there is no such group")]
    UnknownGroup,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ChangeGroups {
    /// The group as it is then.
    ///
    /// # Errors
    /// When the tenant has no such group, or the database does not answer.
    pub async fn update(
        &self,
        caller: &Principal,
        id: GroupId,
        change: &GroupChange,
    ) -> Result<Group, ChangeGroupError> {
        let updated = self.groups.update(&caller.tenant, id, change, self.clock.now()).await?;
        updated.ok_or(ChangeGroupError::UnknownGroup)
    }

    /// # Errors
    /// As above.
    pub async fn delete(&self, caller: &Principal, id: GroupId) -> Result<(), ChangeGroupError> {
        let is_deleted = self.groups.delete(&caller.tenant, id).await?;
        is_deleted.then_some(()).ok_or(ChangeGroupError::UnknownGroup)
    }
}
