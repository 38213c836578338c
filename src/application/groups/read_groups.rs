use std::sync::Arc;

use crate::application::ports::{
    GroupMembers, GroupRepository, ListedGroups, ListedMembers, RepositoryError, SearchError,
};
use crate::domain::access::principal::Principal;
use crate::domain::group::member::MemberId;
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::InstanceId;

/// Shows a tenant its groups, and who is in them.
pub struct ReadGroups {
    pub groups: Arc<dyn GroupRepository>,
    pub members: Arc<dyn GroupMembers>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadGroupsError {
    /// Also for a group of another tenant.
    #[error("there is no such group")]
    UnknownGroup,
    /// No list.
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReadGroups {
    /// # Errors
    /// When the tenant has no such group, or the database does not answer.
    pub async fn one(&self, caller: &Principal, id: GroupId) -> Result<Group, ReadGroupsError> {
        self.groups.find(&caller.tenant, id).await?.ok_or(ReadGroupsError::UnknownGroup)
    }

    /// At most `limit` groups above `after`, oldest first; of one instance, if given.
    ///
    /// # Errors
    /// When the database does not answer in time.
    pub async fn all(
        &self,
        caller: &Principal,
        instance: Option<InstanceId>,
        after: Option<GroupId>,
        limit: u32,
    ) -> Result<ListedGroups, ReadGroupsError> {
        Ok(self.groups.list(&caller.tenant, instance, after, limit).await?)
    }

    /// At most `limit` members above `after`, in the order in which they were added.
    ///
    /// # Errors
    /// When the tenant has no such group, or the database does not answer in time.
    pub async fn members(
        &self,
        caller: &Principal,
        id: GroupId,
        after: Option<MemberId>,
        limit: u32,
    ) -> Result<ListedMembers, ReadGroupsError> {
        let group = self.one(caller, id).await?;
        Ok(self.members.list(group.id, after, limit).await?)
    }
}
