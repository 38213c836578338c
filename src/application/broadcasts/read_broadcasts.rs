use std::sync::Arc;

use crate::application::ports::{BroadcastRepository, Listed, RepositoryError, SearchError};
use crate::domain::access::principal::Principal;
use crate::domain::broadcast::BroadcastId;
use crate::domain::broadcast::counts::BroadcastStanding;
use crate::domain::message::{Message, MessageId};

/// Shows a tenant its broadcasts.
pub struct ReadBroadcasts {
    pub broadcasts: Arc<dyn BroadcastRepository>,
}

/// Messages of a broadcast, in the order of its recipients.
pub struct BroadcastPage {
    pub messages: Vec<Message>,
    /// Where the next page begins; none on the page that holds the last message.
    pub next: Option<MessageId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadBroadcastsError {
    /// Also for a broadcast of another tenant.
    #[error("there is no such broadcast")]
    UnknownBroadcast,
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReadBroadcasts {
    /// # Errors
    /// When the tenant has no such broadcast, or the database does not answer.
    pub async fn one(
        &self,
        caller: &Principal,
        id: Option<BroadcastId>,
    ) -> Result<BroadcastStanding, ReadBroadcastsError> {
        let id = id.ok_or(ReadBroadcastsError::UnknownBroadcast)?;
        self.broadcasts.find(&caller.tenant, id).await?.ok_or(ReadBroadcastsError::UnknownBroadcast)
    }

    /// At most `limit` messages above `after`. Recipients without a message yet have none here.
    ///
    /// # Errors
    /// As above, or when it takes too long.
    pub async fn messages(
        &self,
        caller: &Principal,
        id: Option<BroadcastId>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<BroadcastPage, ReadBroadcastsError> {
        let standing = self.one(caller, id).await?;
        let Listed { messages, more } = self.broadcasts.messages(&standing.broadcast, after, limit).await?;
        let next = messages.last().filter(|_| more).map(|message| message.id);
        Ok(BroadcastPage { messages, next })
    }
}
