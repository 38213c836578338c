//! What a subscriber is sent.

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::Message;

#[derive(Serialize)]
struct Event<D> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: D,
}

/// A message as `GET /api/messaging/messages/{id}` shows it, without its attempts: a test of `presentation/http/messages/data.rs`
/// compares both.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'m> {
    id: String,
    channel: &'m str,
    channel_instance_id: &'m str,
    instance_id: String,
    remote_jid: &'m str,
    group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broadcast_id: Option<String>,
    message: Option<&'m str>,
    media_url: Option<&'m str>,
    media_type: Option<&'static str>,
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<Box<RawValue>>,
    direction: &'static str,
    status: &'static str,
    channel_message_id: Option<&'m str>,
    error: Option<&'m str>,
    retries: u32,
    max_retries: u32,
    priority: Option<u8>,
    send_at: Option<String>,
    next_attempt_at: Option<String>,
    created_at: String,
    updated_at: String,
    sent_at: Option<String>,
    delivered_at: Option<String>,
    read_at: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trial {
    subscription_id: String,
}

/// The body that tells of a message in its present state.
pub fn of(message: &Message) -> String {
    let media = message.content.media.as_ref();
    let shown = Shown {
        id: message.id.to_string(),
        channel: message.channel.as_str(),
        channel_instance_id: &message.channel_instance_id,
        instance_id: message.instance_id.to_string(),
        remote_jid: &message.recipient,
        group_id: message.group.map(|group| group.to_string()),
        broadcast_id: message.broadcast.map(|broadcast| broadcast.to_string()),
        message: message.content.text.as_deref(),
        media_url: media.map(|media| media.url.as_str()),
        media_type: media.map(|media| media.media_type.as_str()),
        payload: raw(message.content.payload.as_ref()),
        template: raw(message.content.template.as_ref()),
        direction: message.direction.as_str(),
        status: message.status.as_str(),
        channel_message_id: message.channel_message_id.as_deref(),
        error: message.error.as_deref(),
        retries: message.tries,
        max_retries: message.max_tries,
        priority: message.priority.map(|priority| priority.number()),
        send_at: message.send_at.map(time),
        next_attempt_at: message.next_attempt_at.map(time),
        created_at: time(message.created_at),
        updated_at: time(message.updated_at),
        sent_at: message.sent_at.map(time),
        delivered_at: message.delivered_at.map(time),
        read_at: message.read_at.map(time),
    };
    text(&Event { kind: format!("message.{}", message.status), timestamp: time(message.updated_at), data: shown })
}

/// The body that tells of nothing, to try a subscription.
pub fn of_trial(subscription: InstanceId, now: Timestamp) -> String {
    let data = Trial { subscription_id: subscription.to_string() };
    text(&Event { kind: "test".to_owned(), timestamp: time(now), data })
}

/// A structure of texts always has JSON.
fn text<D: Serialize>(event: &Event<D>) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

fn raw(json: Option<&String>) -> Option<Box<RawValue>> {
    json.and_then(|json| RawValue::from_string(json.clone()).ok())
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
