use std::sync::Arc;

use crate::application::ports::{Clock, GroupRepository, Ids, InstanceRepository, RepositoryError};
use crate::domain::access::principal::Principal;
use crate::domain::group::{Group, GroupDescription, GroupId, GroupName};
use crate::domain::instance::InstanceId;

/// Makes a group of a tenant's own, without members yet.
pub struct CreateGroup {
    pub groups: Arc<dyn GroupRepository>,
    pub instances: Arc<dyn InstanceRepository>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

pub struct CreateGroupCommand {
    pub instance: Option<InstanceId>,
    pub name: GroupName,
    pub description: Option<GroupDescription>,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateGroupError {
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl CreateGroup {
    /// # Errors
    /// When the tenant has no such instance, or the database does not answer.
    pub async fn execute(&self, caller: &Principal, command: CreateGroupCommand) -> Result<Group, CreateGroupError> {
        let id = command.instance.ok_or(CreateGroupError::UnknownInstance)?;
        let instance = self.instances.find(&caller.tenant, id).await?.ok_or(CreateGroupError::UnknownInstance)?;
        let (id, now) = (GroupId(self.ids.next()), self.clock.now());
        let group = Group::custom(caller, id, instance.id, command.name, command.description, now);
        self.groups.insert(&group).await?;
        Ok(group)
    }
}
