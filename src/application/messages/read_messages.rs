use std::collections::HashMap;
use std::sync::Arc;

use crate::application::ports::{Channels, Listed, MessageFilter, MessageSearch, RepositoryError, SearchError};
use crate::domain::access::principal::Principal;
use crate::domain::message::attempt::{Attempt, every_attempt};
use crate::domain::message::{Direction, Message, MessageId, MessageStatus};
use crate::domain::problem::FieldProblem;

/// Shows a tenant its messages.
pub struct ReadMessages {
    pub search: Arc<dyn MessageSearch>,
    pub channels: Channels,
}

/// Messages, newest first.
pub struct MessagePage {
    pub messages: Vec<Message>,
    /// Where the next page begins; none on the page that holds the last message.
    pub next: Option<MessageId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadMessagesError {
    #[error("there is no such channel")]
    Invalid(FieldProblem),
    /// Also for a message of another tenant.
    #[error("there is no such message")]
    UnknownMessage,
    /// No list, and no counts.
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReadMessages {
    /// # Errors
    /// When the tenant has no such message, or the database does not answer.
    pub async fn one(&self, caller: &Principal, id: MessageId) -> Result<(Message, Vec<Attempt>), ReadMessagesError> {
        let found = self.search.find(&caller.tenant, id).await?;
        let (message, recorded) = found.ok_or(ReadMessagesError::UnknownMessage)?;
        let attempts = every_attempt(&message, recorded);
        Ok((message, attempts))
    }

    /// At most `limit` messages below `before`, and so many bytes as are read in one go.
    ///
    /// # Errors
    /// When there is no such channel, too many searches are running, or this one takes too long or gets no answer.
    pub async fn page(
        &self,
        caller: &Principal,
        filter: &MessageFilter,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<MessagePage, ReadMessagesError> {
        self.check(filter)?;
        let Listed { messages, more } = self.search.list(&caller.tenant, filter, before, limit).await?;
        let next = messages.last().filter(|_| more).map(|message| message.id);
        Ok(MessagePage { messages, next })
    }

    /// How many messages are in which state: those that were sent, unless others are asked for.
    ///
    /// # Errors
    /// When there is no such channel, too many searches are running, or this one takes too long or gets no answer.
    pub async fn count(
        &self,
        caller: &Principal,
        filter: &MessageFilter,
    ) -> Result<HashMap<MessageStatus, u64>, ReadMessagesError> {
        self.check(filter)?;
        let direction = filter.direction.or(Some(Direction::Sent));
        let filter = MessageFilter { direction, ..filter.clone() };
        Ok(self.search.count(&caller.tenant, &filter).await?)
    }

    fn check(&self, filter: &MessageFilter) -> Result<(), ReadMessagesError> {
        match &filter.channel {
            Some(channel) if self.channels.find(channel).is_none() => {
                Err(ReadMessagesError::Invalid(self.channels.unknown()))
            }
            _ => Ok(()),
        }
    }
}
