use std::sync::Arc;

use crate::application::ports::{Channels, InstanceRepository, ListedInstances, RepositoryError, SearchError};
use crate::domain::access::principal::Principal;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::problem::FieldProblem;

const TOO_MUCH: &str =
    "selects more than one answer may hold (16 MiB): name one channel, or clear the metadata of some instances";

/// Shows a tenant its instances, without their credentials.
pub struct ReadInstances {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadInstancesError {
    #[error("there is no such channel, or too much in it")]
    Invalid(FieldProblem),
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    /// No list.
    #[error(transparent)]
    Search(#[from] SearchError),
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
    /// When there is no such channel, they are too much for one answer, or the database does not answer in time.
    pub async fn all(
        &self,
        caller: &Principal,
        channel: Option<&ChannelName>,
    ) -> Result<Vec<Instance>, ReadInstancesError> {
        if channel.is_some_and(|channel| self.channels.find(channel).is_none()) {
            return Err(ReadInstancesError::Invalid(self.channels.unknown()));
        }
        let ListedInstances { instances, more } = self.instances.list(&caller.tenant, channel).await?;
        if more {
            return Err(ReadInstancesError::Invalid(FieldProblem::new("/channel", TOO_MUCH)));
        }
        Ok(instances)
    }
}
