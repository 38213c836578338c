use chrono::SecondsFormat;
use serde_json::json;

use crate::application::ports::Delivery;

/// The client's payload as it wrote it, else an envelope around the message. It says nothing of the try, so that every
/// try sends the same bytes.
pub fn of(delivery: &Delivery) -> String {
    if let Some(payload) = &delivery.content.payload {
        return payload.clone();
    }
    let media = delivery.content.media.as_ref();
    let envelope = json!({
        "type": "message",
        "timestamp": delivery.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "data": {
            "messageId": delivery.message_id.to_string(),
            "remoteJid": delivery.recipient,
            "message": delivery.content.text,
            "mediaUrl": media.map(|media| &media.url),
            "mediaType": media.map(|media| media.media_type.as_str()),
        },
    });
    envelope.to_string()
}
