use std::fmt;
use std::str::FromStr;

use url::Url;

/// What a message says: a text, a medium with a caption, a template, any JSON, or several of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub text: Option<String>,
    pub media: Option<Media>,
    /// Compact JSON text, numbers and the order of members as the client wrote them.
    pub payload: Option<String>,
    /// A template of the channel's own and what fills it: compact JSON text of an object.
    pub template: Option<String>,
    /// What a record of a topic has beside its value: compact JSON text of an object.
    pub record: Option<String>,
}

impl Content {
    /// How many bytes its texts have.
    pub fn bytes(&self) -> u64 {
        let url = self.media.as_ref().map(|media| media.url.as_str());
        let texts =
            [self.text.as_deref(), self.payload.as_deref(), self.template.as_deref(), self.record.as_deref(), url];
        texts.into_iter().flatten().map(|text| text.len() as u64).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub url: MediaUrl,
    pub media_type: MediaType,
}

/// Where a medium is: an absolute `http` or `https` URL of at most 2,048 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaUrl(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an absolute http or https URL of at most {} bytes", MediaUrl::LONGEST)]
pub struct InvalidMediaUrl;

impl MediaUrl {
    /// Bytes at most.
    pub const LONGEST: usize = 2_048;

    /// # Errors
    /// When it is not such a URL.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidMediaUrl> {
        let text = text.into();
        let url = Url::parse(&text).map_err(|_| InvalidMediaUrl)?;
        let is_absolute = matches!(url.scheme(), "http" | "https") && url.has_host();
        if is_absolute && text.len() <= Self::LONGEST { Ok(Self(text)) } else { Err(InvalidMediaUrl) }
    }

    /// What a row holds: it was parsed when it was accepted, and may have been edited by hand since.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_is_at_an_absolute_url_of_bounded_length() {
        let longest = format!("https://a.example/{}", "b".repeat(MediaUrl::LONGEST - 18));
        for url in ["http://a.example", "HTTPS://a.example/b.png?c=d#e", "http://[::1]:8080/", &longest] {
            assert_eq!(MediaUrl::parse(url).unwrap().as_str(), url);
        }
        let too_long = format!("{longest}b");
        for text in
            ["", "a.png", "/a.png", "//a.example/a.png", "ftp://a.example/", "data:image/png,", "https://", &too_long]
        {
            assert_eq!(MediaUrl::parse(text), Err(InvalidMediaUrl), "{text}");
        }
    }
}
