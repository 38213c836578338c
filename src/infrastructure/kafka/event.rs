//! The record of a message: its value is a versioned JSON object, its key the message's place in the order.
//!
//! It has only what never changes in a row, so that the row gives the same bytes again whenever it is encoded, and
//! neither credentials nor anything that would let one guess them.

use chrono::SecondsFormat;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::application::ports::DeliveryRequest;
use crate::application::topics::CHANNEL;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Message, MessageId};
use crate::domain::text::storable;

const VERSION: u64 = 1;
const KIND: &str = "message.send";

/// Bytes. A broker refuses records of more than 1 MiB unless it is configured otherwise; what is larger than this travels
/// as a reference, because the worker that delivers it reads the row anyway.
pub const LARGEST_VALUE: usize = 512 * 1024;

/// Bytes. A recipient that is longer stands in the key as its hash, and not at all in a reference. Nor does any other text.
const LONGEST_TEXT: usize = 1_024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'m> {
    version: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    message_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'m str>,
    instance_id: Uuid,
    channel: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_instance_id: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_jid: Option<&'m str>,
    #[serde(flatten)]
    content: Option<EventContent<'m>>,
    #[serde(rename = "maxRetries")]
    max_tries: u32,
    created_at: String,
    /// The row has the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_omitted: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventContent<'m> {
    message: Option<&'m str>,
    media_url: Option<&'m str>,
    media_type: Option<&'static str>,
    payload: Option<&'m RawValue>,
    /// Absent where there is none: what was published before there were any has the same bytes still.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'m RawValue>,
}

/// The value for a message, of at most `limit` bytes if a reference is that short.
pub fn value(message: &Message, limit: usize) -> Vec<u8> {
    let whole = content(message).and_then(|content| encoded(message, Some(content)));
    let whole = whole.filter(|value| value.len() <= limit);
    // A structure of texts and numbers always has JSON.
    whole.or_else(|| encoded(message, None)).unwrap_or_default()
}

fn encoded(message: &Message, content: Option<EventContent<'_>>) -> Option<Vec<u8>> {
    let whole = content.is_some();
    let fits = |text: &&str| whole || text.len() <= LONGEST_TEXT;
    let event = Event {
        version: VERSION,
        kind: KIND,
        message_id: message.id.0,
        tenant: Some(message.tenant.as_str()).filter(fits),
        user_id: Some(message.user_id.as_str()).filter(fits),
        instance_id: message.instance_id.0,
        channel: Some(message.channel.as_str()).filter(fits).unwrap_or_default(),
        channel_instance_id: Some(message.channel_instance_id.as_str()).filter(fits),
        remote_jid: Some(message.recipient.as_str()).filter(fits),
        content,
        max_tries: message.max_tries,
        created_at: message.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        content_omitted: (!whole).then_some(true),
    };
    serde_json::to_vec(&event).ok()
}

/// None when the payload or the template is not JSON, which the row itself has to answer for.
fn content(message: &Message) -> Option<EventContent<'_>> {
    let payload = message.content.payload.as_deref().map(serde_json::from_str).transpose().ok()?;
    let template = message.content.template.as_deref().map(serde_json::from_str).transpose().ok()?;
    let media = message.content.media.as_ref();
    Some(EventContent {
        message: message.content.text.as_deref(),
        media_url: media.map(|media| media.url.as_str()),
        media_type: media.map(|media| media.media_type.as_str()),
        payload,
        template,
    })
}

/// Messages that share it are in one partition, and so in order.
pub fn key(message: &Message) -> Vec<u8> {
    let recipient = &message.recipient;
    // Those of one topic need not wait for each other.
    if message.channel.as_str() == CHANNEL {
        return format!("{}:{}", message.instance_id, message.id).into_bytes();
    }
    if recipient.len() <= LONGEST_TEXT {
        return format!("{}:{recipient}", message.instance_id).into_bytes();
    }
    let digest: String = Sha256::digest(recipient).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}:sha256:{digest}", message.instance_id).into_bytes()
}

/// What decides whether a record is one of ours. Members that it does not know are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Head {
    version: Value,
    #[serde(rename = "type")]
    kind: Value,
    message_id: Value,
    instance_id: Value,
    channel: Value,
    content_omitted: Value,
}

/// What a record asks for.
///
/// # Errors
/// The end of a sentence about a record that is not one of ours.
pub fn decode(value: Option<&[u8]>) -> Result<DeliveryRequest, String> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Err("is empty (a tombstone)".to_owned());
    };
    let text = std::str::from_utf8(value).map_err(|error| format!("is not JSON: {error}"))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(no_json(text).unwrap_or_else(|| "is JSON, but not an object".to_owned()));
    }
    // The payload is not read: it may have what JSON allows and `Value` does not hold, 1e400.
    let head: Head = serde_json::from_str(text)
        .map_err(|error| no_json(text).unwrap_or_else(|| format!("cannot be read: {error}")))?;
    if head.version.as_u64() != Some(VERSION) {
        return Err(format!("has version {}; this release reads version {VERSION}", shown(&head.version)));
    }
    if head.kind != KIND {
        return Err(format!("has type {}, not `{KIND}`", shown(&head.kind)));
    }
    let id = uuid("messageId", &head.message_id)?;
    // In its share of the calls this one is counted.
    let instance = uuid("instanceId", &head.instance_id)?;
    // It decides on the order alone: the row says what the channel is, and its delivery fails where there is no such channel.
    let channel = head.channel.as_str();
    let channel = channel.ok_or_else(|| format!("has channel {}, which is not a name", shown(&head.channel)))?;
    Ok(DeliveryRequest {
        message_id: MessageId(id),
        instance: InstanceId(instance),
        channel: ChannelName::new(channel),
        omits_content: head.content_omitted == true,
    })
}

fn uuid(member: &str, value: &Value) -> Result<Uuid, String> {
    let id = value.as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| format!("has {member} {}, which is not a UUID", shown(value)))
}

/// Why a text is not JSON; none if it is.
fn no_json(text: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(text).err().map(|error| format!("is not JSON: {error}"))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => storable(&other.to_string(), 100),
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
