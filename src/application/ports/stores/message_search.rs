use std::collections::HashMap;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::attempt::Attempt;
use crate::domain::message::{Message, MessageId, MessageStatus};

/// Reads messages on behalf of their tenant. A foreign message is answered exactly like one that does not exist.
#[async_trait]
pub trait MessageSearch: Send + Sync {
    /// The message with the attempts that have rows, in order of their number.
    async fn find(&self, tenant: &Tenant, id: MessageId) -> Result<Option<(Message, Vec<Attempt>)>, RepositoryError>;

    /// At most `limit` messages with ids below `before`, newest (greatest id) first.
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &MessageFilter,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, RepositoryError>;

    /// How many messages are in which state; states without any may be missing.
    async fn count(
        &self,
        tenant: &Tenant,
        filter: &MessageFilter,
    ) -> Result<HashMap<MessageStatus, u64>, RepositoryError>;

    /// How many messages of all tenants are open.
    async fn count_open(&self) -> Result<u64, RepositoryError>;
}

/// Selects messages; a field that is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub status: Option<MessageStatus>,
    pub channel: Option<ChannelName>,
    pub channel_instance_id: Option<String>,
    pub recipient: Option<String>,
    /// At this moment or later.
    pub created_after: Option<Timestamp>,
    /// Before this moment.
    pub created_before: Option<Timestamp>,
}
