//! Messages of `messages.upsert`, of every version and integration: who wrote what, and where.

use serde_json::{Map, Value};

use super::report::time;
use crate::domain::Timestamp;
use crate::domain::inbound::{Author, Deed, InboundMedia, InboundMessage, Longest, Sender};
use crate::domain::instance::InstanceId;
use crate::domain::message::MediaType;
use crate::domain::receipt::ChannelMessage;
use crate::domain::text::storable;
use crate::infrastructure::channels::http::report_members::{bounded, id, rest, said, some_text, text, word};

/// None of what is not kept: what was posted as a status or in a channel, what only apps say to each other, and what says nothing.
pub fn inbound(instance: InstanceId, data: &Value, now: Timestamp) -> Option<InboundMessage> {
    let key = data.get("key")?;
    let of = ChannelMessage { instance, id: id(key.get("id")?)? };
    let is_own = key.get("fromMe") == Some(&Value::Bool(true));
    let (chat, sender) = addresses(key, data, is_own)?;
    let said = Said::of(data.get("message")?)?;
    let context = said.part.get("contextInfo").or_else(|| data.get("contextInfo"));
    let quoted = context.and_then(|context| id(context.get("stanzaId")?));
    let author = match is_own {
        false => Author::Another,
        true if is_of_a_phone(&of.id) => Author::Phone,
        true => Author::PhoneOrUs,
    };
    let name = text(data, "pushName").filter(|_| !is_own).map(word).filter(|name| !name.trim().is_empty());
    Some(InboundMessage {
        of,
        author,
        chat,
        sender: Sender { name, ..sender },
        text: said.text(),
        media: said.media(data),
        quoted,
        deed: said.deed(),
        kind: Some(word(said.kind)),
        rest: said.rest(),
        at: time(data.get("messageTimestamp"), now),
    })
}

/// Ids that the apps on phones give. What Baileys gives, for whichever client of Evolution, a linked browser gives as well.
fn is_of_a_phone(id: &str) -> bool {
    let is_hex = id.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    is_hex && (id.len() == 32 || (id.len() == 20 && id.starts_with("3A")))
}

const PERSON: &str = "@s.whatsapp.net";
const LID: &str = "@lid";

/// Where it was written, and by whom. A person has up to two addresses, which swap their places from version to version.
fn addresses(key: &Value, data: &Value, is_own: bool) -> Option<(String, Sender)> {
    let said = |member: &str| text(key, member).or_else(|| text(data, member)).filter(|jid| !jid.is_empty());
    let jid = said("remoteJid")?;
    if ["status@broadcast", "@newsletter"].iter().any(|ending| jid.ends_with(ending)) {
        return None;
    }
    if ["@g.us", "@broadcast"].iter().any(|ending| jid.ends_with(ending)) {
        let members = ["participant", "participantAlt", "participantPn", "participantLid", "senderPn", "senderLid"];
        let sender = if is_own { Sender::default() } else { person(members.into_iter().filter_map(said)) };
        return Some((bounded(jid), sender));
    }
    // What `senderPn` names in a message of our own is ourselves.
    let more = ["remoteJidAlt", "previousRemoteJid", "senderPn", "senderLid"];
    let more = if is_own { &more[..2] } else { &more[..] };
    let Sender { address, alias, .. } =
        person(std::iter::once(jid).chain(more.iter().filter_map(|member| said(member))));
    let chat = address.or_else(|| alias.clone())?;
    let address = (!is_own).then(|| chat.clone());
    Some((chat, Sender { address, alias, name: None }))
}

/// The number, if one of the addresses has it, and the LID, if one of them is that. A LID alone is both.
fn person<'a>(jids: impl Iterator<Item = &'a str>) -> Sender {
    let (mut number, mut lid) = (None, None);
    for jid in jids {
        if let Some(user) = jid.strip_suffix(LID) {
            lid.get_or_insert_with(|| format!("{}{LID}", bounded(without_device(user))));
        } else {
            // The integration EVOLUTION repeats a recipient as it was given.
            let user = jid.strip_suffix(PERSON).or_else(|| jid.strip_suffix("@c.us")).unwrap_or(jid);
            number.get_or_insert_with(|| bounded(without_device(user)));
        }
    }
    Sender { address: number.or_else(|| lid.clone()), alias: lid, name: None }
}

fn without_device(user: &str) -> &str {
    user.split_once(':').map_or(user, |(user, _)| user)
}

/// The part of a message that says something.
struct Said<'a> {
    kind: &'a str,
    part: &'a Value,
    message: &'a Value,
}

/// What stands around the message itself.
const WRAPPERS: [&str; 7] = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "deviceSentMessage",
    "editedMessage",
];

/// What is beside a message, and what only apps have to know.
const BESIDE: [&str; 12] = [
    "messageContextInfo",
    "senderKeyDistributionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
    "base64",
    "mediaUrl",
    "contextInfo",
    "pollUpdateMessage",
    "encReactionMessage",
    "encCommentMessage",
    "keepInChatMessage",
    "pinInChatMessage",
    "speechToText",
];

impl<'a> Said<'a> {
    fn of(mut message: &'a Value) -> Option<Self> {
        const DEEPEST: usize = 8;
        for _ in 0..DEEPEST {
            let wrapped = WRAPPERS.iter().find_map(|wrapper| message.get(wrapper)?.get("message"));
            let Some(within) = wrapped else { break };
            message = within;
        }
        let says = |(kind, part): &(&String, &Value)| !part.is_null() && !BESIDE.contains(&kind.as_str());
        let (kind, part) = message.as_object()?.iter().find(says)?;
        let said = Self { kind, part, message };
        said.says_something().then_some(said)
    }

    fn says_something(&self) -> bool {
        match self.kind {
            "conversation" | "extendedTextMessage" => self.text().is_some(),
            // A deletion comes as an event of its own; the others concern apps.
            "protocolMessage" => self.deed().is_some(),
            // One without a text takes a reaction back.
            "reactionMessage" => self.deed().is_some(),
            _ => true,
        }
    }

    /// What a person sees.
    fn text(&self) -> Option<String> {
        let places: &[&str] = match self.kind {
            "conversation" => &[""],
            "reactionMessage" | "extendedTextMessage" => &["/text"],
            "buttonsResponseMessage" | "templateButtonReplyMessage" => {
                &["/selectedDisplayText", "/selectedButtonId", "/selectedId"]
            }
            "listResponseMessage" => &["/title", "/singleSelectReply/selectedRowId"],
            "interactiveResponseMessage" => &["/body/text"],
            "protocolMessage" => &[
                "/editedMessage/conversation",
                "/editedMessage/extendedTextMessage/text",
                "/editedMessage/imageMessage/caption",
                "/editedMessage/videoMessage/caption",
                "/editedMessage/documentMessage/caption",
            ],
            _ => &["/caption"],
        };
        said(self.part, places)
    }

    fn media(&self, data: &Value) -> Option<InboundMedia> {
        let media_type = match self.kind {
            "imageMessage" | "stickerMessage" => MediaType::Image,
            "videoMessage" | "ptvMessage" => MediaType::Video,
            "audioMessage" => MediaType::Audio,
            "documentMessage" => MediaType::Document,
            _ => return None,
        };
        // Where Evolution keeps media, it has put it there, in the clear; what WhatsApp has is encrypted.
        let kept = [self.message, data].into_iter().find_map(|place| text(place, "mediaUrl"));
        let url = kept.or_else(|| text(self.part, "url")).filter(|url| url.len() <= Longest::URL && !url.is_empty());
        let part = |member| some_text(self.part, member).map(word);
        let (url, id) = (url.map(|url| storable(url, Longest::URL)), part("id"));
        Some(InboundMedia { media_type, url, id, mime_type: part("mimetype"), file_name: part("fileName") })
    }

    fn deed(&self) -> Option<Deed> {
        let other = || id(self.part.pointer("/key/id")?);
        match self.kind {
            "reactionMessage" => Some(Deed::ReactsTo(other()?)),
            "protocolMessage" if self.part.get("editedMessage").is_some() => Some(Deed::Edits(other()?)),
            _ => None,
        }
    }

    /// What has no place of its own, such as a location or a contact, without what is made of bytes.
    fn rest(&self) -> Option<String> {
        let has_a_place = matches!(
            self.kind,
            "conversation"
                | "extendedTextMessage"
                | "reactionMessage"
                | "protocolMessage"
                | "imageMessage"
                | "stickerMessage"
                | "videoMessage"
                | "ptvMessage"
                | "audioMessage"
                | "documentMessage"
        );
        if has_a_place {
            return None;
        }
        rest(&plain(self.part, 0)?)
    }
}

/// Without members that hold bytes, or say how to decrypt them.
fn plain(value: &Value, depth: usize) -> Option<Value> {
    const DEEPEST: usize = 16;
    const BYTES: [&str; 9] = [
        "jpegThumbnail",
        "thumbnail",
        "mediaKey",
        "fileSha256",
        "fileEncSha256",
        "base64",
        "contextInfo",
        "messageSecret",
        "encKey",
    ];
    if depth > DEEPEST {
        return None;
    }
    Some(match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !BYTES.contains(&name.as_str()));
            let kept = kept.filter_map(|(name, value)| Some((name.clone(), plain(value, depth + 1)?)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().filter_map(|item| plain(item, depth + 1)).collect()),
        other => other.clone(),
    })
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
