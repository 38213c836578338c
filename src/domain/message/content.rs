use std::fmt;
use std::str::FromStr;

/// What a message says: a text, a medium with a caption, any JSON, or several of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub text: Option<String>,
    pub media: Option<Media>,
    /// Compact JSON text, numbers and the order of members as the client wrote them.
    pub payload: Option<String>,
}

impl Content {
    /// How many bytes its texts have.
    pub fn bytes(&self) -> u64 {
        let url = self.media.as_ref().map(|media| &media.url);
        let texts = [self.text.as_ref(), self.payload.as_ref(), url];
        texts.into_iter().flatten().map(|text| text.len() as u64).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// An absolute `http` or `https` URL, at most 2,048 bytes.
    pub url: String,
    pub media_type: MediaType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Image,
    Audio,
    Document,
    Video,
}

impl MediaType {
    pub const ALL: [MediaType; 4] = [MediaType::Image, MediaType::Audio, MediaType::Document, MediaType::Video];

    pub fn as_str(self) -> &'static str {
        match self {
            MediaType::Image => "image",
            MediaType::Audio => "audio",
            MediaType::Document => "document",
            MediaType::Video => "video",
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = UnknownMediaType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownMediaType(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown media type `{0}`")]
pub struct UnknownMediaType(String);
