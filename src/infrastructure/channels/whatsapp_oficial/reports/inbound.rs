//! What people write to a number, as Meta reports it.

use serde_json::Value;

use super::report::{id, items, time};
use crate::domain::Timestamp;
use crate::domain::inbound::{Author, Deed, InboundMedia, InboundMessage, Sender};
use crate::domain::instance::InstanceId;
use crate::domain::message::MediaType;
use crate::domain::receipt::ChannelMessage;
use crate::infrastructure::channels::http::report_members::{bounded, rest, said, some_text as given, text, word};

/// One of `messages`, beside the `contacts` of the same value. None of what has no name or no sender.
pub fn inbound(instance: InstanceId, value: &Value, message: &Value, now: Timestamp) -> Option<InboundMessage> {
    let of = ChannelMessage { instance, id: id(message, "id")? };
    let sender = sender(value, message)?;
    let group = given(message, "group_id").map(bounded);
    let kind = text(message, "type").unwrap_or("unknown");
    let part = message.get(kind).unwrap_or(&Value::Null);
    let deed = (kind == "reaction").then(|| id(part, "message_id").map(Deed::ReactsTo)).flatten();
    Some(InboundMessage {
        of,
        author: Author::Another,
        chat: group.or_else(|| sender.address.clone())?,
        sender,
        text: said(part, places(kind)),
        media: media(kind, part),
        quoted: message.get("context").and_then(|context| id(context, "id")),
        deed,
        kind: Some(word(kind)),
        rest: if has_a_place(kind) { None } else { rest(part) },
        at: time(message.get("timestamp"), now),
    })
}

/// The number, and the id that the person has for this business: without the number, who hides it is called by that alone.
fn sender(value: &Value, message: &Value) -> Option<Sender> {
    let number = given(message, "from").map(|number| number.strip_prefix('+').unwrap_or(number));
    let own_id = given(message, "from_user_id").or_else(|| given(message, "user_id"));
    let is_theirs = |contact: &&Value| {
        let same = |one: Option<&str>, other: Option<&str>| one.is_some() && one == other;
        same(given(contact, "wa_id"), number) || same(given(contact, "user_id"), own_id)
    };
    let contacts: Vec<&Value> = items(value, "contacts").collect();
    // Of one alone it is clear whose it is.
    let contact =
        contacts.iter().copied().find(is_theirs).or_else(|| contacts.first().copied().filter(|_| contacts.len() == 1));
    let id = own_id.or_else(|| given(contact?, "user_id"));
    let number = number.or_else(|| given(contact?, "wa_id"));
    let name = contact.and_then(|contact| given(contact.get("profile")?, "name"));
    Some(Sender {
        address: Some(bounded(number.or(id)?)),
        alias: id.map(bounded),
        name: name.map(word).filter(|name| !name.trim().is_empty()),
    })
}

/// Where what a person sees stands.
fn places(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" | "system" => &["/body"],
        "button" => &["/text"],
        "reaction" => &["/emoji"],
        "interactive" => &["/button_reply/title", "/list_reply/title", "/nfm_reply/body"],
        _ => &["/caption"],
    }
}

fn media_type(kind: &str) -> Option<MediaType> {
    Some(match kind {
        "image" | "sticker" => MediaType::Image,
        "video" => MediaType::Video,
        "audio" | "voice" => MediaType::Audio,
        "document" => MediaType::Document,
        _ => return None,
    })
}

/// Its id, for which Meta gives a URL that lives for five minutes.
fn media(kind: &str, part: &Value) -> Option<InboundMedia> {
    let media_type = media_type(kind)?;
    let member = |member| given(part, member).map(word);
    Some(InboundMedia {
        media_type,
        url: None,
        id: member("id"),
        mime_type: member("mime_type"),
        file_name: member("filename"),
    })
}

/// Not so a location, contacts, an order.
fn has_a_place(kind: &str) -> bool {
    matches!(kind, "text" | "reaction") || media_type(kind).is_some()
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
