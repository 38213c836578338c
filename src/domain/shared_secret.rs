//! How Standard Webhooks writes the secret that a sender and its receiver share: `whsec_` and base64.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

pub const PREFIX: &str = "whsec_";

/// Before the prefix in what some receivers show: the version of the signatures that are made with it.
const VERSION: &str = "v1,";

/// With or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that can mean one key only: also with `v1,` before it, without padding, in the alphabet of URLs, and with spaces or a
/// line break around it.
#[derive(Clone, Copy)]
pub struct SharedSecret<'t> {
    encoded: &'t str,
    pub has_prefix: bool,
}

impl<'t> SharedSecret<'t> {
    pub fn read(text: &'t str) -> Self {
        let text = text.trim();
        let text = text.strip_prefix(VERSION).unwrap_or(text);
        let encoded = text.strip_prefix(PREFIX);
        Self { encoded: encoded.unwrap_or(text), has_prefix: encoded.is_some() }
    }

    /// None when it is not base64.
    pub fn key(self) -> Option<Vec<u8>> {
        LENIENT.decode(self.encoded.replace('-', "+").replace('_', "/")).ok()
    }
}
