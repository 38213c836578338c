use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::domain::message::{Content, Media, MediaType, MessageId};
use crate::infrastructure::channels::http::file_name::file_name;

/// What errors call the other side.
pub const PEER: &str = "the Evolution API";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    Text,
    Media,
    Audio,
}

impl RequestKind {
    pub fn route(self) -> &'static str {
        match self {
            RequestKind::Text => "sendText",
            RequestKind::Media => "sendMedia",
            RequestKind::Audio => "sendWhatsAppAudio",
        }
    }

    /// Whether Evolution takes our id of the message.
    pub fn takes_own_id(self) -> bool {
        self != RequestKind::Audio
    }
}

pub struct EvolutionRequest {
    pub kind: RequestKind,
    pub body: Value,
}

impl EvolutionRequest {
    /// `own_id` becomes WhatsApp's id of the message where Evolution takes one (2.4.0); older versions pass it over.
    ///
    /// None when there is nothing to send. A medium takes the text as its caption, except audio: WhatsApp's voice
    /// messages have none, so that a text beside one is not sent.
    pub fn of(number: &str, content: &Content, own_id: &str) -> Option<Self> {
        let text = content.text.as_deref().filter(|text| !text.trim().is_empty());
        let Some(Media { url, media_type }) = &content.media else {
            return Some(Self {
                kind: RequestKind::Text,
                body: json!({ "number": number, "text": text?, "messageId": own_id }),
            });
        };
        let url = url.as_str();
        if *media_type == MediaType::Audio {
            return Some(Self { kind: RequestKind::Audio, body: json!({ "number": number, "audio": url }) });
        }
        let (file_name, mime_type) = file_of(url, *media_type);
        let mut body = json!({
            "number": number,
            "mediatype": media_type.as_str(),
            "media": url,
            "fileName": file_name,
            "mimetype": mime_type,
            "messageId": own_id,
        });
        if let Some(text) = text {
            body["caption"] = text.into();
        }
        Some(Self { kind: RequestKind::Media, body })
    }
}

/// What we call the message, the same on every try of a run: WhatsApp's clients show one id once. What an operator replays is to be
/// seen again. What is still said of an earlier run ends one that waits: it was delivered after all; a run that was taken has a name of
/// its own, and what is said of another moves it no more. It has the form that Baileys gives to its own.
pub fn own_id(message: MessageId, run: u32) -> String {
    let mut named = message.0.as_bytes().to_vec();
    if run > 0 {
        named.extend(run.to_be_bytes());
    }
    let digest = Sha256::digest(named);
    digest.iter().take(9).fold("3EB0".to_owned(), |id, byte| id + &format!("{byte:02X}"))
}

/// A name with an extension that fits the medium, and its MIME type. Evolution believes the extension before it believes
/// `mimetype`, so that a `foto.php` must not keep its own.
fn file_of(url: &str, media_type: MediaType) -> (String, String) {
    let named = Url::parse(url).ok().and_then(|url| file_name(&url));
    let fitting = named.and_then(|name| Some((fitting_type(&name, media_type)?, name)));
    let (mime_type, name) = fitting.unwrap_or_else(|| match media_type {
        MediaType::Image => ("image/jpeg", "image.jpg".to_owned()),
        MediaType::Video => ("video/mp4", "video.mp4".to_owned()),
        MediaType::Audio => ("audio/ogg", "audio.ogg".to_owned()),
        MediaType::Document => ("application/octet-stream", "document.bin".to_owned()),
    });
    (name, mime_type.to_owned())
}

fn fitting_type(file_name: &str, media_type: MediaType) -> Option<&'static str> {
    let (stem, extension) = file_name.rsplit_once('.')?;
    let mime_type = mime_guess::from_ext(extension).first_raw()?;
    let fits = media_type == MediaType::Document || mime_type.split('/').next() == Some(media_type.as_str());
    (fits && !stem.is_empty()).then_some(mime_type)
}
