//! What is written to us, and by the person behind an instance's phone: it comes from the channel.

mod payload;

use chrono::TimeDelta;

use crate::domain::Timestamp;
use crate::domain::instance::Instance;
use crate::domain::message::{Content, Direction, Media, MediaType, MediaUrl, Message, MessageId, MessageStatus};
use crate::domain::receipt::ChannelMessage;

/// A message that a channel reports, in the words of none.
///
/// Texts are short enough for a row and hold no U+0000: see [`Longest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// Its name at the channel of the instance that it came through.
    pub of: ChannelMessage,
    pub author: Author,
    /// Where an answer to it goes: the digits of a person's number, or what the channel calls a group, or a person whose number it
    /// does not say.
    pub chat: String,
    pub sender: Sender,
    /// What it says, or the caption of its medium.
    pub text: Option<String>,
    pub media: Option<InboundMedia>,
    /// The channel's name of the message that it answers.
    pub quoted: Option<String>,
    /// What it does to another message.
    pub deed: Option<Deed>,
    /// What it is in the channel's word, such as `imageMessage` or `location`.
    pub kind: Option<String>,
    /// Compact JSON text of what the channel says of it, where nothing else here says it, such as a place.
    pub rest: Option<String>,
    /// When it was written, as the channel says; if it does not, when it came.
    pub at: Timestamp,
}

/// Whose message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// Written to us.
    Another,
    /// Written on the instance's phone, or on a device that is linked to it.
    Phone,
    /// The same, or what we have sent: told apart only once no try can be under way that would give a message this name.
    PhoneOrUs,
}

/// Who wrote it, as far as the channel says: in a group not the chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The digits of the number, or the channel's other address where the number is not known.
    pub address: Option<String>,
    /// Another address of the same person, such as a LID of WhatsApp.
    pub alias: Option<String>,
    /// As the sender calls itself.
    pub name: Option<String>,
}

/// A medium that stays where it is: its bytes are never taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMedia {
    pub media_type: MediaType,
    /// Where it is, if the channel says.
    pub url: Option<String>,
    /// What the channel calls it, if it has to be asked for.
    pub id: Option<String>,
    pub mime_type: Option<String>,
    pub file_name: Option<String>,
}

/// The name of the other message at the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The text is the emoji; none: a reaction is taken back.
    ReactsTo(String),
    /// The text is what it says from now on.
    Edits(String),
}

/// How many characters of each are kept.
pub struct Longest;

impl Longest {
    /// As WhatsApp has it.
    pub const TEXT: usize = 65_536;
    pub const ADDRESS: usize = 128;
    /// A name, a type, a file's name.
    pub const WORD: usize = 255;
    pub const URL: usize = MediaUrl::LONGEST;
    /// Bytes: what is longer is not kept.
    pub const REST: usize = 16 * 1024;
}

/// How long its key is kept: a provider repeats what it reports for hours, or days.
pub const KEYS_KEPT: TimeDelta = TimeDelta::days(30);

/// What makes it the same message when it is reported again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboundKey {
    pub of: ChannelMessage,
    pub chat: String,
    /// Empty where the channel does not say.
    pub sender: String,
}

impl InboundMessage {
    pub fn key(&self) -> InboundKey {
        let sender = self.sender.address.clone().or_else(|| self.sender.alias.clone());
        InboundKey { of: self.of.clone(), chat: self.chat.clone(), sender: sender.unwrap_or_default() }
    }

    /// The row that it becomes. It is at its end, or moved by receipts alone: nothing of it is ever tried.
    pub fn into_message(self, instance: &Instance, id: MessageId, now: Timestamp) -> Message {
        let payload = self.payload();
        let is_another = self.author == Author::Another;
        let media = self.media.and_then(|media| {
            let url = media.url.and_then(|url| MediaUrl::parse(url).ok())?;
            Some(Media { url, media_type: media.media_type })
        });
        Message {
            id,
            tenant: instance.tenant.clone(),
            user_id: instance.user_id.clone(),
            instance_id: instance.id,
            channel: instance.channel.clone(),
            channel_instance_id: instance.channel_instance_id.clone(),
            recipient: self.chat,
            group: None,
            broadcast: None,
            content: Content { text: self.text, media, payload, template: None, record: None },
            direction: if is_another { Direction::Received } else { Direction::Sent },
            purpose: None,
            status: if is_another { MessageStatus::Delivered } else { MessageStatus::Sent },
            channel_message_id: Some(self.of.id),
            error: None,
            failure: None,
            tries: 0,
            max_tries: 0,
            priority: None,
            send_at: None,
            try_number: 0,
            attempt_started_at: None,
            attempt_http_status: None,
            node: None,
            next_attempt_at: None,
            deferrals: 0,
            deferred_since: None,
            is_unanswered: false,
            replays: 0,
            dead_lettered_at: None,
            created_at: now,
            updated_at: now,
            sent_at: Some(self.at.min(now)),
            delivered_at: is_another.then_some(now),
            read_at: None,
            flaw: None,
        }
    }
}
