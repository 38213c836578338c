use std::sync::Arc;

use crate::application::ports::{Clock, InstanceRepository, RepositoryError};
use crate::domain::access::principal::Principal;
use crate::domain::instance::InstanceId;

/// Deletes an instance and its credentials. Its messages stay; those that are open fail in the background
/// ([`EmptyDeletedInstances`](super::empty_deleted_instances::EmptyDeletedInstances)), so that however many there are, the
/// caller does not wait for them.
pub struct DeleteInstance {
    pub instances: Arc<dyn InstanceRepository>,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeleteInstanceError {
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl DeleteInstance {
    /// # Errors
    /// When the tenant has no such instance, or the database does not answer.
    pub async fn execute(&self, caller: &Principal, id: InstanceId) -> Result<(), DeleteInstanceError> {
        let deleted = self.instances.delete(&caller.tenant, id, self.clock.now()).await?;
        if deleted { Ok(()) } else { Err(DeleteInstanceError::UnknownInstance) }
    }
}
