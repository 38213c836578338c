use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::group::Group;
use crate::domain::group::member::Member;
use crate::domain::group::sync::GroupSync;
use crate::domain::instance::InstanceId;

/// What the providers' groups are written by, and how far each sync has come.
///
/// `tests/contracts/groups/group_syncs.rs` proves this for every implementation.
#[async_trait]
pub trait GroupSyncs: Send + Sync {
    /// Writes that a sync has begun, in the place of `last`, as it was found. False when that is not the instance's last one any more,
    /// or has said something since; and where none was found, when there is one.
    async fn begin(&self, sync: &GroupSync, last: Option<&GroupSync>) -> Result<bool, RepositoryError>;

    /// Writes how far it has come, if it is still the one that began at its `started_at`.
    async fn note(&self, sync: &GroupSync) -> Result<bool, RepositoryError>;

    /// The last one of an instance of the tenant.
    async fn find(&self, tenant: &Tenant, instance: InstanceId) -> Result<Option<GroupSync>, RepositoryError>;

    /// Writes one synced group as its provider has it, in one transaction: in the place of what is there of this instance and
    /// external id, which keeps its id, its `created_at` and its description. Its members are exactly `members` then; those who
    /// stay keep their ids and when they were added. No two have the same identifier. Nothing happens if what is there was synced by a
    /// later sync.
    async fn store(&self, group: &Group, members: &[Member]) -> Result<(), RepositoryError>;

    /// Deletes at most `limit` of the synced groups of an instance that were last synced before `since`. Returns how many were.
    async fn delete_before(&self, instance: InstanceId, since: Timestamp, limit: u32) -> Result<u64, RepositoryError>;
}
