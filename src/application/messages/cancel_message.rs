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
    pub claims_in_doubt: Duration,
}

/// What it takes to record the outcome of a call that has ended, with the pauses of a database that comes back.
const RECORDING: Duration = Duration::from_secs(5);

impl CancelMessage {
    /// How long after the start of the database a call may be under way whose claim it has forgotten.
    pub fn claims_in_doubt(node_timeout: Duration, longest_try: Duration) -> Duration {
        node_timeout.max(longest_try) + RECORDING
    }

    /// # Errors
    /// When the database does not answer: the message may be cancelled or not.
    pub async fn execute(&self, tenant: &Tenant, id: MessageId) -> Result<Cancellation, RepositoryError> {
        self.cancellations.cancel(tenant, id, self.claims_in_doubt, self.clock.now()).await
    }
}
