use std::sync::Arc;
use std::time::Duration;

use crate::application::ports::{Cancellation, Cancellations, Clock, RepositoryError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;

/// Takes back a message that waits: for its time, for its next try, or for a worker.
pub struct CancelMessage {
    pub cancellations: Arc<dyn Cancellations>,
    pub clock: Arc<dyn Clock>,
    /// After this long, a process that lost a claim to a database crash has recorded its outcome or lost its name.
    pub node_timeout: Duration,
}

impl CancelMessage {
    /// # Errors
    /// When the database does not answer: the message may be cancelled or not.
    pub async fn execute(&self, tenant: &Tenant, id: MessageId) -> Result<Cancellation, RepositoryError> {
        self.cancellations.cancel(tenant, id, self.node_timeout, self.clock.now()).await
    }
}
