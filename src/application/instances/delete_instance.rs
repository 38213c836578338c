use std::sync::Arc;

use crate::application::ports::{Clock, InstanceRepository, RepositoryError};
use crate::domain::access::principal::Principal;
use crate::domain::instance::InstanceId;
use crate::domain::message::dead_letter::DeadLetterPolicy;

/// Deletes an instance and its credentials. Its messages stay; those that are open fail.
pub struct DeleteInstance {
    pub instances: Arc<dyn InstanceRepository>,
    pub clock: Arc<dyn Clock>,
    pub dead_letters: DeadLetterPolicy,
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
    /// See [`DeleteInstanceError`].
    pub async fn execute(&self, caller: &Principal, id: InstanceId) -> Result<(), DeleteInstanceError> {
        const REASON: &str = "The instance was deleted before the message was delivered.";
        let now = self.clock.now();
        let dead_lettered_at = self.dead_letters.dead_lettered_at(now);
        let deleted = self.instances.delete(&caller.tenant, id, REASON, dead_lettered_at, now).await?;
        if deleted { Ok(()) } else { Err(DeleteInstanceError::UnknownInstance) }
    }
}
