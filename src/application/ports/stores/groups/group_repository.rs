use async_trait::async_trait;

use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::group::{Group, GroupChange, GroupId};
use crate::domain::instance::InstanceId;

/// Where groups are kept. A foreign tenant's group is answered exactly like one that does not exist.
///
/// `tests/contracts/groups/group_repository.rs` proves this for every implementation.
#[async_trait]
pub trait GroupRepository: Send + Sync {
    async fn insert(&self, group: &Group) -> Result<(), RepositoryError>;

    async fn find(&self, tenant: &Tenant, id: GroupId) -> Result<Option<Group>, RepositoryError>;

    /// At most `limit` groups of a tenant with ids above `after`, oldest first; of one instance, if given; and at most
    /// [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE).
    async fn list(
        &self,
        tenant: &Tenant,
        instance: Option<InstanceId>,
        after: Option<GroupId>,
        limit: u32,
    ) -> Result<ListedGroups, SearchError>;

    /// Writes what the change names and nothing else, in one statement. `updated_at` never goes back. Returns the group as it is
    /// then; none when there is no such group.
    async fn update(
        &self,
        tenant: &Tenant,
        id: GroupId,
        change: &GroupChange,
        now: Timestamp,
    ) -> Result<Option<Group>, RepositoryError>;

    /// Deletes the group and who is in it. False when there is no such group.
    async fn delete(&self, tenant: &Tenant, id: GroupId) -> Result<bool, RepositoryError>;

    /// Deletes at most `limit` groups of these instances, with who is in them. Returns how many there were.
    async fn delete_of(&self, instances: &[InstanceId], limit: u32) -> Result<u64, RepositoryError>;
}

/// The groups of a list.
#[derive(Clone, Debug)]
pub struct ListedGroups {
    pub groups: Vec<Group>,
    /// Whether others follow.
    pub more: bool,
}
