use std::sync::Arc;

use crate::application::ports::{Channels, InstanceRepository, RepositoryError};
use crate::domain::access::principal::Principal;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::problem::FieldProblem;

/// Shows a tenant its instances, without their credentials.
pub struct ReadInstances {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadInstancesError {
    #[error("there is no such channel")]
    Invalid(FieldProblem),
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReadInstances {
    /// # Errors
    /// When the tenant has no such instance, or the database does not answer.
    pub async fn one(&self, caller: &Principal, id: InstanceId) -> Result<Instance, ReadInstancesError> {
        self.instances.find(&caller.tenant, id).await?.ok_or(ReadInstancesError::UnknownInstance)
    }

    /// The tenant's instances, oldest first; of one channel, if given.
    ///
    /// # Errors
    /// When there is no such channel, or the database does not answer.
    pub async fn all(
        &self,
        caller: &Principal,
        channel: Option<&ChannelName>,
    ) -> Result<Vec<Instance>, ReadInstancesError> {
        if channel.is_some_and(|channel| self.channels.find(channel).is_none()) {
            return Err(ReadInstancesError::Invalid(self.channels.unknown()));
        }
        Ok(self.instances.list(&caller.tenant, channel).await?)
    }
}
