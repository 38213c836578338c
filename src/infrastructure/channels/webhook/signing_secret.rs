use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::shared_secret::{PREFIX, SharedSecret};

const GENERATED_BYTES: usize = 32;
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key that a webhook and its receiver share, as Standard Webhooks writes it: `whsec_` and base64.
pub struct SigningSecret {
    text: String,
    mac: Hmac<Sha256>,
}

/// What is wrong with a secret, as the end of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error("must begin with `whsec_`")]
    NoPrefix,
    #[error("must be base64 after `whsec_`")]
    NotBase64,
    #[error("must be 24 to 64 bytes in base64 after `whsec_`, and is {0}")]
    WrongLength(usize),
    #[error("could not be generated: give one")]
    NoRandomness,
}

impl SigningSecret {
    /// Takes what can mean one key only, as [`SharedSecret`] says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let secret = SharedSecret::read(text);
        if !secret.has_prefix {
            return Err(InvalidSecret::NoPrefix);
        }
        let key = secret.key().ok_or(InvalidSecret::NotBase64)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(InvalidSecret::WrongLength(key.len()));
        }
        Self::of(&key)
    }

    fn of(key: &[u8]) -> Result<Self, InvalidSecret> {
        let mac = Hmac::new_from_slice(key).map_err(|_| InvalidSecret::WrongLength(key.len()))?;
        Ok(Self { text: format!("{PREFIX}{}", STANDARD.encode(key)), mac })
    }

    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, InvalidSecret> {
        let mut key = [0; GENERATED_BYTES];
        getrandom::fill(&mut key).map_err(|_| InvalidSecret::NoRandomness)?;
        Self::of(&key)
    }

    /// The secret in the clear. Every call is a place where it may leak.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The forms in which a receiver may know it, each of which gives it away.
    pub fn forms(&self) -> [String; 4] {
        let encoded = self.text.strip_prefix(PREFIX).unwrap_or(&self.text);
        let unpadded = encoded.trim_end_matches('=');
        let url_safe = unpadded.replace('+', "-").replace('/', "_");
        [self.text.clone(), encoded.to_owned(), unpadded.to_owned(), url_safe]
    }

    /// The value of `webhook-signature` for this body, sent under this id at this Unix second.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signed = self.mac.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
    }
}
