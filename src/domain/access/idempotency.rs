use std::time::Duration;

/// How long an `Idempotency-Key` is remembered.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The header's value: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn parse(text: &[u8]) -> Option<Self> {
        let well_formed = (1..=255).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        well_formed.then(|| Self(text.iter().copied().map(char::from).collect()))
    }

    /// A key of our own: a word and hex digits. No caller's key has a space.
    pub fn of_record(digest: &[u8; 32]) -> Self {
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("record {digest}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key, and the body that it was first sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotentRequest {
    pub key: IdempotencyKey,
    /// SHA-256 of the body's bytes.
    pub fingerprint: [u8; 32],
    /// For how long the key is taken, from when its message was accepted.
    pub kept_for: Duration,
}

impl IdempotentRequest {
    /// One with a caller's key.
    pub fn new(key: IdempotencyKey, fingerprint: [u8; 32]) -> Self {
        Self { key, fingerprint, kept_for: KEPT }
    }
}
