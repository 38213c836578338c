//! A message as it is shown.

use crate::domain::message::Message;
use crate::domain::message::attempt::Attempt;
use crate::presentation::http::wire::envelope::{raw_json, rfc3339};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A message and where it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageData {
    pub id: String,
    pub channel: String,
    pub channel_instance_id: String,
    pub instance_id: String,
    pub remote_jid: String,
    pub group_id: Option<String>,
    /// Of one that was made of a broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub broadcast_id: Option<String>,
    pub message: Option<String>,
    pub media_url: Option<String>,
    pub media_type: Option<&'static str>,
    #[schema(value_type = Option<serde_json::Value>)]
    pub payload: Option<Box<RawValue>>,
    /// Of `whatsapp_oficial`, where there is one.
    #[schema(value_type = Option<Object>, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Box<RawValue>>,
    /// `sent` or `received`.
    pub direction: &'static str,
    /// `status` where it tells a subscriber of another message's change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub purpose: Option<&'static str>,
    pub status: &'static str,
    pub channel_message_id: Option<String>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Tries begun.
    pub retries: u32,
    /// Tries at most, the first included.
    pub max_retries: u32,
    pub priority: Option<i32>,
    #[schema(format = "date-time")]
    pub send_at: Option<String>,
    /// Not tried again before.
    #[schema(format = "date-time")]
    pub next_attempt_at: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
    #[schema(format = "date-time")]
    pub sent_at: Option<String>,
    #[schema(format = "date-time")]
    pub delivered_at: Option<String>,
    #[schema(format = "date-time")]
    pub read_at: Option<String>,
    /// Every try; only where one message was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub attempts: Option<Vec<AttemptData>>,
}

/// One try.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptData {
    pub number: u32,
    #[schema(format = "date-time")]
    pub started_at: Option<String>,
    #[schema(format = "date-time")]
    pub finished_at: Option<String>,
    /// `sent`, `transient`, `permanent` or `unknown`; null while it runs.
    pub outcome: Option<&'static str>,
    pub error: Option<String>,
    pub http_status: Option<u16>,
}

impl From<Attempt> for AttemptData {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.map(rfc3339),
            finished_at: attempt.finished_at.map(rfc3339),
            outcome: attempt.outcome.map(|outcome| outcome.as_str()),
            error: attempt.error,
            http_status: attempt.http_status,
        }
    }
}

impl From<Message> for MessageData {
    fn from(message: Message) -> Self {
        let (media_url, media_type) =
            message.content.media.map(|media| (media.url.into_string(), media.media_type.as_str())).unzip();
        Self {
            id: message.id.to_string(),
            channel: message.channel.to_string(),
            channel_instance_id: message.channel_instance_id,
            instance_id: message.instance_id.to_string(),
            remote_jid: message.recipient,
            group_id: message.group.map(|group| group.to_string()),
            broadcast_id: message.broadcast.map(|broadcast| broadcast.to_string()),
            message: message.content.text,
            media_url,
            media_type,
            payload: raw_json(message.content.payload),
            template: raw_json(message.content.template),
            direction: message.direction.as_str(),
            purpose: message.purpose.map(|purpose| purpose.as_str()),
            status: message.status.as_str(),
            channel_message_id: message.channel_message_id,
            error: message.error,
            retries: message.tries,
            max_retries: message.max_tries,
            priority: message.priority.map(|priority| priority.number().into()),
            send_at: message.send_at.map(rfc3339),
            next_attempt_at: message.next_attempt_at.map(rfc3339),
            created_at: rfc3339(message.created_at),
            updated_at: rfc3339(message.updated_at),
            sent_at: message.sent_at.map(rfc3339),
            delivered_at: message.delivered_at.map(rfc3339),
            read_at: message.read_at.map(rfc3339),
            attempts: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::application::status_webhooks::event;
    use crate::domain::broadcast::BroadcastId;
    use crate::domain::group::GroupId;
    use crate::domain::message::{Content, Media, MediaType, MediaUrl, MessageStatus, Priority};
    use crate::domain::node::NodeId;
    use crate::samples::{at, instance, message_of};

    /// Who subscribes to states is told what is read here.
    #[test]
    fn a_status_webhook_has_a_message_as_it_is_shown() {
        let owner = NodeId(uuid::Uuid::nil());
        let plain = message_of(&instance("acme", "hook"), MessageStatus::Cancelled, owner);
        let media = Media { url: MediaUrl::stored("https://x.example/a.png".to_owned()), media_type: MediaType::Image };
        let full = Message {
            content: Content {
                text: Some("Olá!".to_owned()),
                media: Some(media),
                payload: Some(r#"{"total": 4500.00}"#.to_owned()),
                template: Some(r#"{"name":"x"}"#.to_owned()),
                record: None,
            },
            group: Some(GroupId(uuid::Uuid::from_u128(1))),
            broadcast: Some(BroadcastId(uuid::Uuid::from_u128(2))),
            status: MessageStatus::Read,
            channel_message_id: Some("wamid.1".to_owned()),
            error: Some("away".to_owned()),
            tries: 3,
            priority: Priority::try_from(7).ok(),
            send_at: Some(at(1)),
            next_attempt_at: Some(at(2)),
            sent_at: Some(at(3)),
            delivered_at: Some(at(4)),
            read_at: Some(at(5)),
            ..plain.clone()
        };
        for message in [plain, full] {
            let told: Value = serde_json::from_str(&event::of(&message)).unwrap();
            let kind = format!("message.{}", message.status);
            assert_eq!((told["type"].as_str(), &told["timestamp"]), (Some(kind.as_str()), &told["data"]["updatedAt"]));
            assert_eq!(told["data"], serde_json::to_value(MessageData::from(message)).unwrap());
        }
    }
}
