use std::sync::Arc;

use crate::application::ports::{Clock, FailedMessages, FailedSelection, Replay, Replayed, RepositoryError};
use crate::domain::access::principal::Tenant;
use crate::domain::message::MessageId;

/// Puts failed messages back on their way, one or many; the relay does the rest.
pub struct ReplayMessages {
    pub failed: Arc<dyn FailedMessages>,
    pub clock: Arc<dyn Clock>,
}

impl ReplayMessages {
    /// # Errors
    /// When the database does not answer.
    pub async fn one(&self, tenant: &Tenant, id: MessageId) -> Result<Replay, RepositoryError> {
        self.failed.replay(tenant, id, self.clock.now()).await
    }

    /// Replays everything that matches and has failed until now, each message once; returns how many. What another
    /// transaction is writing at that moment is passed over, and still failed when the same is requested again.
    ///
    /// # Errors
    /// When the database does not answer; what was replayed until then stays so.
    pub async fn all(&self, selection: &FailedSelection) -> Result<u64, RepositoryError> {
        const AT_ONCE: u32 = 1_000;
        let now = self.clock.now();
        let (mut replayed, mut after) = (0, None);
        loop {
            let Replayed { count, last } = self.failed.replay_matching(selection, after, AT_ONCE, now).await?;
            if last.is_none() {
                return Ok(replayed);
            }
            replayed += count;
            after = last;
        }
    }
}
