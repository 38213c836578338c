use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{CHANNEL, TRIES, kept_record};
use crate::application::ports::{Accepted, Clock, Ids, MessageRepository, RepositoryError};
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::access::principal::Principal;
use crate::domain::instance::Instance;
use crate::domain::message::{Draft, Message, MessageId, MessageStatus, Recipient};
use crate::domain::node::NodeId;
use crate::domain::topic::{TopicName, TopicRecord};

/// Takes over records that another bridge has kept and not published: each becomes a message that is due, which a running server
/// publishes.
pub struct ImportRecords {
    pub messages: Arc<dyn MessageRepository>,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
}

/// A record as another bridge has kept it.
pub struct FormerRecord {
    /// Its name there: it is taken over once, however often this is asked for within a day.
    pub name: String,
    pub topic: TopicName,
    pub record: TopicRecord,
}

impl ImportRecords {
    /// Whether it was taken over; false: it was before.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn one(
        &self,
        owner: &Principal,
        instance: &Instance,
        former: FormerRecord,
    ) -> Result<bool, RepositoryError> {
        let now = self.clock.now();
        let id = MessageId(self.ids.next());
        let recipient = Recipient::parse(former.topic.as_str())
            .map_err(|error| RepositoryError::Refused(format!("the topic {error}")))?;
        let digest: [u8; 32] = Sha256::digest(format!("{CHANNEL}\n{}", former.name)).into();
        let request = IdempotentRequest::new(IdempotencyKey::of_record(&digest), digest);
        let draft = Draft::new(recipient, kept_record::content(former.record));
        let accepted = Message::accept(owner, instance, draft, TRIES, MessageStatus::Queued, NodeId(id.0), id, now);
        // Due by its time: no node has taken it upon itself.
        let message = Message { next_attempt_at: Some(now), node: None, ..accepted };
        match self.messages.accept(&message, Some(&request)).await? {
            Accepted::Stored => Ok(true),
            Accepted::KeyTaken(_) => Ok(false),
        }
    }
}
