use serde::Serialize;
use serde_json::value::RawValue;
use url::Url;

use super::recipient::MetaRecipient;
use crate::domain::message::{Content, MediaType, MessageId};
use crate::infrastructure::channels::http::file_name::file_name;

/// The body of a message to `/{phone number id}/messages`.
#[derive(Serialize)]
pub struct MetaRequest<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Medium<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Medium<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<Medium<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Medium<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a RawValue>,
    /// Comes back in every status of the message.
    biz_opaque_callback_data: String,
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
    preview_url: bool,
}

#[derive(Serialize)]
struct Medium<'a> {
    link: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

impl<'a> MetaRequest<'a> {
    /// None when there is nothing to send.
    ///
    /// A template is sent alone: the text beside it is its sender's own. A medium takes the text as its caption, except
    /// audio, which has none.
    pub fn of(recipient: &'a MetaRecipient, content: &'a Content, message: MessageId) -> Option<Self> {
        let (recipient_type, to, user) = match recipient {
            MetaRecipient::Number(number) => ("individual", Some(number.as_str()), None),
            MetaRecipient::User(user) => ("individual", None, Some(user.as_str())),
            MetaRecipient::Group(group) => ("group", Some(group.as_str()), None),
        };
        let mut request = Self {
            messaging_product: "whatsapp",
            recipient_type,
            to,
            recipient: user,
            kind: "text",
            text: None,
            image: None,
            audio: None,
            video: None,
            document: None,
            template: None,
            biz_opaque_callback_data: message.to_string(),
        };
        let text = content.text.as_deref().filter(|text| !text.trim().is_empty());
        if let Some(template) = &content.template {
            request.kind = "template";
            request.template = Some(serde_json::from_str(template).ok()?);
        } else if let Some(media) = &content.media {
            let medium = Medium { link: media.url.as_str(), caption: text, filename: None };
            request.kind = media.media_type.as_str();
            match media.media_type {
                MediaType::Image => request.image = Some(medium),
                MediaType::Audio => request.audio = Some(Medium { caption: None, ..medium }),
                MediaType::Video => request.video = Some(medium),
                MediaType::Document => {
                    request.document = Some(Medium { filename: named(media.url.as_str()), ..medium });
                }
            }
        } else {
            request.text = Some(Text { body: text?, preview_url: false });
        }
        Some(request)
    }
}

/// The name of a file with an extension: by that WhatsApp shows what a document is.
fn named(url: &str) -> Option<String> {
    let name = file_name(&Url::parse(url).ok()?)?;
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then_some(name)
}
