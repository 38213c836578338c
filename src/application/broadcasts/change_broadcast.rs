use std::sync::Arc;
use std::time::Duration;

use crate::application::ports::{
    BroadcastChange, BroadcastRepository, CancelledMessages, ChangedBroadcast, Clock, RepositoryError,
};
use crate::domain::access::principal::Principal;
use crate::domain::broadcast::counts::BroadcastStanding;
use crate::domain::broadcast::{BroadcastId, BroadcastStatus};

/// Pauses, resumes and cancels a broadcast.
pub struct ChangeBroadcast {
    pub broadcasts: Arc<dyn BroadcastRepository>,
    pub clock: Arc<dyn Clock>,
    /// As of cancelling a message.
    pub claims_in_doubt: Duration,
}

/// Messages that are cancelled in one statement.
const PORTION: u32 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum ChangeBroadcastError {
    /// Also for a broadcast of another tenant.
    #[error("there is no such broadcast")]
    UnknownBroadcast,
    #[error("the broadcast is {0}")]
    Refused(BroadcastStatus),
    /// It is cancelled, and no more messages are made; but some that look queued may be under way.
    #[error("the database has just started")]
    InDoubt,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ChangeBroadcast {
    /// The broadcast as it is then. Of one that is cancelled, the queued messages are, too: they after it.
    ///
    /// # Errors
    /// When the tenant has no such broadcast, it is in another state, or the database does not answer: it may be changed or not.
    pub async fn execute(
        &self,
        caller: &Principal,
        id: Option<BroadcastId>,
        change: BroadcastChange,
    ) -> Result<BroadcastStanding, ChangeBroadcastError> {
        let id = id.ok_or(ChangeBroadcastError::UnknownBroadcast)?;
        let standing = match self.broadcasts.change(&caller.tenant, id, change, self.clock.now()).await? {
            ChangedBroadcast::Done(standing) => *standing,
            ChangedBroadcast::Refused(status) => return Err(ChangeBroadcastError::Refused(status)),
            ChangedBroadcast::Unknown => return Err(ChangeBroadcastError::UnknownBroadcast),
        };
        if change != BroadcastChange::Cancel {
            return Ok(standing);
        }
        loop {
            let (doubt, now) = (self.claims_in_doubt, self.clock.now());
            match self.broadcasts.cancel_messages(&standing.broadcast, doubt, PORTION, now).await? {
                CancelledMessages::InDoubt => return Err(ChangeBroadcastError::InDoubt),
                CancelledMessages::Cancelled(PORTION) => {}
                CancelledMessages::Cancelled(_) => break,
            }
        }
        let found = self.broadcasts.find(&caller.tenant, id).await?;
        found.ok_or(ChangeBroadcastError::UnknownBroadcast)
    }
}
