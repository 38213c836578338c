use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageStatus};

/// What a change made of a message, as far as it can be different by the time it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub status: MessageStatus,
    pub channel_message_id: Option<String>,
    pub error: Option<String>,
    pub tries: u32,
    pub updated_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
}

impl Snapshot {
    pub fn of(message: &Message) -> Self {
        Self {
            status: message.status,
            channel_message_id: message.channel_message_id.clone(),
            error: message.error.clone(),
            tries: message.tries,
            updated_at: message.updated_at,
            sent_at: message.sent_at,
            delivered_at: message.delivered_at,
            read_at: message.read_at,
        }
    }

    /// The message as it was then. In a state that is told it waits for nothing.
    pub fn applied_to(self, message: Message) -> Message {
        Message {
            status: self.status,
            channel_message_id: self.channel_message_id,
            error: self.error,
            tries: self.tries,
            updated_at: self.updated_at,
            sent_at: self.sent_at,
            delivered_at: self.delivered_at,
            read_at: self.read_at,
            next_attempt_at: None,
            ..message
        }
    }
}

/// A message's move to another state, as it is told.
#[derive(Clone, Debug)]
pub struct Change {
    /// Of one message's changes the later one has the greater number.
    pub seq: i64,
    /// As it was after the change.
    pub message: Message,
    /// The last of those that are told of it, in order of their ids, if only some were told yet.
    pub told_to: Option<InstanceId>,
}
