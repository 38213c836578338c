use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
const GENERATED_BYTES: usize = 32;

/// The key that a webhook and its receiver share, as Standard Webhooks writes it: `whsec_` and base64.
pub struct SigningSecret {
    text: String,
    mac: Hmac<Sha256>,
}

#[derive(Debug, thiserror::Error)]
#[error("not `whsec_` and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl SigningSecret {
    /// # Errors
    /// When it is not `whsec_` and 24 to 64 bytes in base64.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if !(24..=64).contains(&key.len()) {
            return Err(InvalidSecret);
        }
        let mac = Hmac::new_from_slice(&key).map_err(|_| InvalidSecret)?;
        Ok(Self { text: text.to_owned(), mac })
    }

    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, InvalidSecret> {
        let mut key = [0; GENERATED_BYTES];
        getrandom::fill(&mut key).map_err(|_| InvalidSecret)?;
        Self::parse(&format!("{PREFIX}{}", STANDARD.encode(key)))
    }

    /// The secret in the clear. Every call is a place where it may leak.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The secret without its prefix, which gives it away just as well.
    pub fn encoded_key(&self) -> &str {
        self.text.strip_prefix(PREFIX).unwrap_or(&self.text)
    }

    /// The value of `webhook-signature` for this body, sent under this id at this Unix second.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signed = self.mac.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", STANDARD.encode(signed.finalize().into_bytes()))
    }
}
