use std::collections::HashMap;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::attempt::Attempt;
use crate::domain::message::{Direction, Message, MessageId, MessageStatus, Purpose};
use crate::domain::receipt::StuckSince;

/// Reads messages on behalf of their tenant. A foreign message is answered exactly like one that does not exist.
///
/// A list or a count may have to read a whole history. Few run at the same time, each for a limited time, and nothing
/// that keeps messages going waits for them.
#[async_trait]
pub trait MessageSearch: Send + Sync {
    /// The message with the attempts that have rows, in order of their number.
    async fn find(&self, tenant: &Tenant, id: MessageId) -> Result<Option<(Message, Vec<Attempt>)>, RepositoryError>;

    /// At most `limit` messages, and at most [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE), with ids below `before`, newest
    /// (greatest id) first.
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &MessageFilter,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Listed, SearchError>;

    /// How many messages are in which state; states without any may be missing. For [all that was
    /// sent](MessageFilter::sent) it costs the same however many there are, and so does [`Self::count_open`].
    async fn count(&self, tenant: &Tenant, filter: &MessageFilter) -> Result<HashMap<MessageStatus, u64>, SearchError>;

    /// How many messages that were sent are open, of all tenants, or of this one; searches do not hold it up.
    async fn count_open(&self, tenant: Option<&Tenant>) -> Result<u64, RepositoryError>;

    /// How many messages that were sent, of all tenants, are in which state, as they were counted: it costs the same however many
    /// there are. What has not been counted yet is missing.
    async fn count_all(&self) -> Result<HashMap<MessageStatus, u64>, RepositoryError>;
}

/// The messages of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub messages: Vec<Message>,
    /// Whether others follow.
    pub more: bool,
}

/// Why a search found nothing out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SearchError {
    /// As many were running as may, for longer than one waits for its turn.
    #[error("SEARCH_CONCURRENCY searches are running already")]
    Busy,
    /// It was ended because it took longer than one may take. The same will most likely take as long again.
    #[error("the search took too long")]
    TooLong,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Which messages, by what they are there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purposes {
    /// What clients sent and channels brought.
    #[default]
    Own,
    Of(Purpose),
    Any,
}

impl Purposes {
    pub fn contain(self, purpose: Option<Purpose>) -> bool {
        match self {
            Purposes::Own => purpose.is_none(),
            Purposes::Of(only) => purpose == Some(only),
            Purposes::Any => true,
        }
    }
}

/// Selects messages; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub purposes: Purposes,
    pub direction: Option<Direction>,
    pub status: Option<MessageStatus>,
    pub channel: Option<ChannelName>,
    pub channel_instance_id: Option<String>,
    pub recipient: Option<String>,
    /// Only those that are stuck: of these channels, and sent before their times. Comes with the status `sent`.
    pub stuck: Option<Vec<StuckSince>>,
    /// At this moment or later.
    pub created_after: Option<Timestamp>,
    /// Before this moment.
    pub created_before: Option<Timestamp>,
    /// Those alone that wait for the time that their senders gave.
    pub is_scheduled: bool,
}

impl MessageFilter {
    /// All that clients sent.
    pub fn sent() -> Self {
        Self { direction: Some(Direction::Sent), ..Self::default() }
    }

    pub fn selects_all_sent(&self) -> bool {
        *self == Self::sent()
    }
}
