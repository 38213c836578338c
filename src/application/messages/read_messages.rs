use std::collections::HashMap;
use std::sync::Arc;

use crate::application::ports::{Channels, Clock, Listed, MessageFilter, MessageSearch, RepositoryError, SearchError};
use crate::application::receipts::StuckRule;
use crate::domain::access::principal::Principal;
use crate::domain::message::attempt::{Attempt, every_attempt};
use crate::domain::message::{Direction, Message, MessageId, MessageStatus};
use crate::domain::problem::FieldProblem;

/// Shows a tenant its messages.
pub struct ReadMessages {
    pub search: Arc<dyn MessageSearch>,
    pub channels: Channels,
    pub stuck: StuckRule,
    pub clock: Arc<dyn Clock>,
}

/// Which messages are asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub filter: MessageFilter,
    /// Only those that are stuck.
    pub stuck: bool,
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
        asked: Asked,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<MessagePage, ReadMessagesError> {
        let Some(filter) = self.filter(asked)? else { return Ok(MessagePage { messages: Vec::new(), next: None }) };
        let Listed { messages, more } = self.search.list(&caller.tenant, &filter, before, limit).await?;
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
        asked: Asked,
    ) -> Result<HashMap<MessageStatus, u64>, ReadMessagesError> {
        let Some(filter) = self.filter(asked)? else { return Ok(HashMap::new()) };
        let direction = filter.direction.or(Some(Direction::Sent));
        let filter = MessageFilter { direction, ..filter };
        Ok(self.search.count(&caller.tenant, &filter).await?)
    }

    /// None: nothing can match.
    fn filter(&self, asked: Asked) -> Result<Option<MessageFilter>, ReadMessagesError> {
        let Asked { filter, stuck } = asked;
        if filter.channel.as_ref().is_some_and(|channel| self.channels.find(channel).is_none()) {
            return Err(ReadMessagesError::Invalid(self.channels.unknown()));
        }
        if !stuck {
            return Ok(Some(filter));
        }
        let mut since = self.stuck.at(self.clock.now());
        since.retain(|since| filter.channel.as_ref().is_none_or(|channel| since.channel == *channel));
        let may_be_stuck = !since.is_empty()
            && filter.status.is_none_or(|status| status == MessageStatus::Sent)
            && filter.direction != Some(Direction::Received);
        let stuck = MessageFilter { status: Some(MessageStatus::Sent), stuck: Some(since), ..filter };
        Ok(may_be_stuck.then_some(stuck))
    }
}
