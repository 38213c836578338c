use chrono::SecondsFormat;
use serde::Serialize;

use crate::application::ports::Delivery;

#[derive(Serialize)]
struct Envelope<'d> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'d>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'d> {
    message_id: String,
    remote_jid: &'d str,
    message: Option<&'d str>,
    media_url: Option<&'d str>,
    media_type: Option<&'d str>,
}

/// The client's payload as it wrote it, else an envelope around the message. It says nothing of the try, so that every
/// try sends the same bytes.
pub fn of(delivery: &Delivery) -> String {
    if let Some(payload) = &delivery.content.payload {
        return payload.clone();
    }
    let media = delivery.content.media.as_ref();
    let envelope = Envelope {
        kind: "message",
        timestamp: delivery.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        data: Data {
            message_id: delivery.message_id.to_string(),
            remote_jid: &delivery.recipient,
            message: delivery.content.text.as_deref(),
            media_url: media.map(|media| media.url.as_str()),
            media_type: media.map(|media| media.media_type.as_str()),
        },
    };
    // A structure of texts always has JSON.
    serde_json::to_string(&envelope).unwrap_or_default()
}
