//! A message that waits for its delivery, for those who need no more of it than that.

use correio::domain::Timestamp;
use correio::domain::channel::ChannelName;
use correio::domain::instance::InstanceId;
use correio::domain::message::{Content, Direction, Message, MessageId, MessageStatus};
use correio::domain::principal::Tenant;
use uuid::Uuid;

pub fn queued_message(id: MessageId, content: Content, now: Timestamp) -> Message {
    Message {
        id,
        tenant: Tenant::new("acme").expect("a tenant's name"),
        user_id: "ana".to_owned(),
        instance_id: InstanceId(Uuid::from_u128(1)),
        channel: ChannelName::new("webhook"),
        channel_instance_id: "pedidos".to_owned(),
        recipient: "5585999999999".to_owned(),
        content,
        direction: Direction::Sent,
        status: MessageStatus::Queued,
        channel_message_id: None,
        error: None,
        failure: None,
        retries: 0,
        max_retries: 3,
        try_number: 0,
        attempt_started_at: None,
        attempt_http_status: None,
        node: None,
        next_attempt_at: None,
        dead_lettered_at: None,
        created_at: now,
        updated_at: now,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        flaw: None,
    }
}
